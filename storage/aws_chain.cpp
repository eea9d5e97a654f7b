#include "storage/aws_chain.hpp"

#include <cstdlib>
#include <iterator>

#include "storage/aws_network_credentials.hpp"
#include "storage/blocking_call.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

// How often a credentials file is looked at; reading it costs less than one request.
constexpr core::Duration kFileInterval = std::chrono::seconds(5);

core::Failure fail(Code code, std::string detail) {
  return core::fail(code, Origin::self, Retry::safe, std::move(detail));
}

std::string value_of(const AwsProfile& profile, std::string_view name) {
  const auto found = profile.find(name);
  return found == profile.end() ? "" : found->second;
}

class EnvironmentSource final : public AwsCredentialSource {
 public:
  explicit EnvironmentSource(AwsSetup setup) : setup_(std::move(setup)) {}
  [[nodiscard]] std::string name() const override { return "environment"; }
  Task<Result<AwsKeys>> fetch(core::Deadline /*deadline*/) override {
    AwsKeys found;
    found.source = name();
    found.keys = {setup_.variables("AWS_ACCESS_KEY_ID"), setup_.variables("AWS_SECRET_ACCESS_KEY"),
                  setup_.variables("AWS_SESSION_TOKEN")};
    if (found.keys.access_key.empty()) {
      co_return fail(Code::not_found, "AWS_ACCESS_KEY_ID is not set");
    }
    if (found.keys.secret_key.empty()) {
      co_return fail(Code::denied, "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
    }
    co_return found;
  }

 private:
  AwsSetup setup_;
};

// What a profile may hold beside keys, and that we do not follow: silence would mean that another
// identity is used than the one the operator wrote down.
constexpr std::string_view kNotFollowed[] = {"credential_process", "sso_session", "sso_start_url",
                                             "source_profile", "credential_source"};

Result<AwsKeys> keys_of(const AwsProfile& profile, const std::string& place,
                        const std::string& path) {
  AwsKeys found;
  found.source = place;
  found.look_again = kFileInterval;
  found.keys = {value_of(profile, "aws_access_key_id"), value_of(profile, "aws_secret_access_key"),
                value_of(profile, "aws_session_token")};
  if (found.keys.session_token.empty()) {
    found.keys.session_token = value_of(profile, "aws_security_token");
  }
  if (found.keys.access_key.empty()) {
    return fail(Code::not_found, path + " has no aws_access_key_id for it");
  }
  if (found.keys.secret_key.empty()) {
    return fail(Code::denied, path + " has an aws_access_key_id but no aws_secret_access_key");
  }
  return found;
}

Result<AwsKeys> read_profile_keys(const AwsSetup& setup) {
  const std::string profile = aws_profile_name(setup);
  const std::string what = "profile " + profile;
  std::string lacking;
  std::string unfollowed;
  bool exists = false;
  for (const AwsFileKind kind : {AwsFileKind::credentials, AwsFileKind::config}) {
    const std::string path = aws_file_path(setup, kind);
    const auto profiles = read_aws_profiles(path, kind);
    if (!profiles) return pass(profiles);
    const auto found = profiles->find(profile);
    if (!lacking.empty()) lacking += ", ";
    if (found == profiles->end()) {
      lacking += path + " has no such profile";
      continue;
    }
    exists = true;
    std::string place = what;
    place += " of " + path;
    auto keys = keys_of(found->second, place, path);
    if (keys || keys.error().code != Code::not_found) return keys;
    lacking += keys.error().detail;
    for (const std::string_view name : kNotFollowed) {
      if (unfollowed.empty() && found->second.contains(name)) unfollowed = name;
    }
  }
  if (!unfollowed.empty()) {
    return fail(Code::denied, what + " relies on " + unfollowed +
                                  ", which Daybook does not follow. Put keys into the profile, or "
                                  "name another source");
  }
  const bool asked_for = !setup.profile.empty() || !setup.variables("AWS_PROFILE").empty();
  return fail(asked_for && !exists ? Code::denied : Code::not_found, lacking);
}

class ProfileSource final : public AwsCredentialSource {
 public:
  ProfileSource(core::Workers& workers, AwsSetup setup)
      : workers_(workers), setup_(std::move(setup)) {}
  [[nodiscard]] std::string name() const override { return "profile " + aws_profile_name(setup_); }
  Task<Result<AwsKeys>> fetch(core::Deadline /*deadline*/) override {
    co_return co_await call_on<AwsKeys>(workers_, Origin::self,
                                        [setup = setup_] { return read_profile_keys(setup); });
  }

 private:
  core::Workers& workers_;
  AwsSetup setup_;
};

constexpr std::string_view kOrder[] = {"environment", "web_identity", "profile", "container",
                                       "instance"};

}  // namespace

AwsVariables process_variables() {
  return [](std::string_view name) {
    const char* text = std::getenv(std::string(name).c_str());
    return std::string(text == nullptr ? "" : text);
  };
}

std::string aws_profile_name(const AwsSetup& setup) {
  if (!setup.profile.empty()) return setup.profile;
  const std::string named = setup.variables("AWS_PROFILE");
  return named.empty() ? "default" : named;
}

std::string aws_file_path(const AwsSetup& setup, AwsFileKind kind) {
  const bool config = kind == AwsFileKind::config;
  std::string path = setup.variables(config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
  if (path.empty()) path = config ? "~/.aws/config" : "~/.aws/credentials";
  if (path.starts_with("~/")) path = setup.variables("HOME") + path.substr(1);
  return path;
}

Result<std::string> aws_region(const AwsSetup& setup) {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string region = setup.variables(name); !region.empty()) return region;
  }
  for (const AwsFileKind kind : {AwsFileKind::config, AwsFileKind::credentials}) {
    const auto profiles = read_aws_profiles(aws_file_path(setup, kind), kind);
    if (!profiles) return pass(profiles);
    const auto found = profiles->find(aws_profile_name(setup));
    if (found == profiles->end()) continue;
    if (std::string region = value_of(found->second, "region"); !region.empty()) return region;
  }
  return std::string();
}

std::unique_ptr<AwsCredentialSource> make_aws_source(std::string_view name, io::IoRuntime& runtime,
                                                     core::Workers& workers,
                                                     const AwsSetup& setup) {
  if (name == "environment") return std::make_unique<EnvironmentSource>(setup);
  if (name == "web_identity") return make_web_identity_source(runtime, workers, setup);
  if (name == "profile") return std::make_unique<ProfileSource>(workers, setup);
  if (name == "container") return make_container_source(runtime, workers, setup);
  if (name == "instance") return make_instance_source(runtime, setup);
  return nullptr;
}

std::unique_ptr<AwsCredentialSource> make_aws_chain(io::IoRuntime& runtime, core::Workers& workers,
                                                    const AwsSetup& setup) {
  std::vector<std::unique_ptr<AwsCredentialSource>> sources;
  for (const std::string_view name : kOrder) {
    // A profile that was asked for by name is meant; keys in the environment are not.
    if (name == "environment" && !setup.profile.empty()) continue;
    sources.push_back(make_aws_source(name, runtime, workers, setup));
  }
  return std::make_unique<AwsCredentialChain>(std::move(sources));
}

std::string AwsCredentialChain::name() const {
  return chosen_ == nullptr ? "the AWS chain" : chosen_->name();
}

Task<Result<AwsKeys>> AwsCredentialChain::fetch(core::Deadline deadline) {
  std::string tried;
  for (const auto& source : sources_) {
    if (chosen_ != nullptr && chosen_ != source.get()) continue;
    auto found = co_await source->fetch(deadline);
    if (found) {
      chosen_ = source.get();
      co_return found;
    }
    core::Error error = std::move(found).error();
    if (chosen_ != nullptr || error.code != Code::not_found) {
      error.detail = "AWS credentials from " + source->name() + ": " + error.detail + ".";
      co_return core::Failure(std::move(error));
    }
    if (!tried.empty()) tried += "; ";
    tried += source->name() + ": " + error.detail;
  }
  co_return fail(Code::not_found, "There are no AWS credentials. Asked in turn: " + tried + ".");
}

}  // namespace daybook::storage
