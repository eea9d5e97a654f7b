// Where AWS credentials are looked for, and in which order; the sources behind the network against
// a server of the test. Published orders: botocore's.
#include "storage/aws_chain.hpp"

#include <fstream>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "io/worker_pool.hpp"
#include "storage/aws_network_credentials.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/temporary_folder.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/io/scripted_server.hpp"

namespace daybook::storage {
namespace {

using core::Code;

std::string http_answer(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Words\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string json_keys(const std::string& name) {
  return R"({"Code":"Success","AccessKeyId":")" + name +
         R"(","SecretAccessKey":"SECRETWORD","Token":"t","Expiration":"2100-01-01T00:00:00Z"})";
}

// A machine of the test: its variables, its files, and a server that plays every service.
class AwsChain : public testing::Test {
 protected:
  AwsChain()
      : server_([this](tests::Peer& peer) {
          for (;;) {
            const auto [head, body] = peer.read_request();
            if (head.empty()) return;
            peer.send(serve(head, body));
          }
        }) {
    variables["HOME"] = folder_.path();
    variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = url() + "/";
    variables["AWS_ENDPOINT_URL_STS"] = url();
  }

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_.port());
  }
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder_.path() / name).parent_path());
    std::ofstream(folder_.path() / name) << text;
  }
  std::string path(const std::string& name) { return folder_.path() / name; }

  void keys_in_environment() {
    variables["AWS_ACCESS_KEY_ID"] = "FROM-ENVIRONMENT";
    variables["AWS_SECRET_ACCESS_KEY"] = "SECRETWORD";
  }
  void web_identity() {
    write("token", "the-web-token\n");
    variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = path("token");
    variables["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/audit";
  }
  void credentials_file(const std::string& named = "default") {
    write(".aws/credentials", "[" + named +
                                  "]\naws_access_key_id = FROM-CREDENTIALS\n"
                                  "aws_secret_access_key = SECRETWORD\naws_session_token = t\n");
  }
  void config_file(const std::string& section = "default") {
    write(".aws/config", "[" + section +
                             "]\naws_access_key_id = FROM-CONFIG\n"
                             "aws_secret_access_key = SECRETWORD\nregion = eu-south-2\n");
  }
  void container() { variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url() + "/creds?id=7"; }
  void no_instance() { variables["AWS_EC2_METADATA_DISABLED"] = "true"; }

  AwsSetup setup() {
    return {[this](std::string_view name) {
              const auto found = variables.find(std::string(name));
              return found == variables.end() ? "" : found->second;
            },
            profile, ""};
  }
  core::Result<AwsKeys> fetch() {
    const auto chain = make_aws_chain(runtime_, workers_, setup());
    return tests::run_on_io(runtime_, chain->fetch(tests::within(std::chrono::seconds(10))));
  }
  // The access key that was found, or the error.
  std::string found() {
    const auto keys = fetch();
    return keys ? keys->keys.access_key : keys.error().detail;
  }
  // What one chain finds the second time, after a change.
  std::string found_twice(const std::function<void()>& change) {
    const auto chain = make_aws_chain(runtime_, workers_, setup());
    const auto deadline = tests::within(std::chrono::seconds(10));
    static_cast<void>(tests::run_on_io(runtime_, chain->fetch(deadline)));
    change();
    const auto keys = tests::run_on_io(runtime_, chain->fetch(deadline));
    return keys ? keys->keys.access_key : keys.error().detail;
  }
  std::string request(const std::string& word) {
    const std::lock_guard lock(mutex_);
    for (const std::string& text : requests_) {
      if (text.find(word) != std::string::npos) return text;
    }
    return "";
  }

  std::map<std::string, std::string> variables;
  std::string profile;
  int container_status = 200;
  bool instance_has_role = true;

 private:
  std::string serve(const std::string& head, const std::string& body) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(head + body);
    }
    const std::string line = head.substr(0, head.find("\r\n"));
    if (line.starts_with("PUT /latest/api/token ")) return http_answer(200, "imds-token");
    const bool knows = head.find("X-aws-ec2-metadata-token: imds-token") != std::string::npos;
    if (line.starts_with("GET /latest/meta-data/") && !knows) return http_answer(401, "");
    if (line.starts_with("GET /latest/meta-data/iam/security-credentials/ ")) {
      return instance_has_role ? http_answer(200, "audit role\n") : http_answer(404, "");
    }
    if (line.starts_with("GET /latest/meta-data/iam/security-credentials/audit%20role ")) {
      return http_answer(200, json_keys("FROM-INSTANCE"));
    }
    if (line.starts_with("GET /creds?id=7 ")) {
      return http_answer(container_status, json_keys("FROM-CONTAINER"));
    }
    if (line.starts_with("POST / ")) {
      return http_answer(
          200,
          "<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>FROM-STS"
          "</AccessKeyId><SecretAccessKey>SECRETWORD</SecretAccessKey><SessionToken>t"
          "</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>"
          "</AssumeRoleWithWebIdentityResponse>");
    }
    return http_answer(404, "");
  }

  tests::TemporaryFolder folder_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  tests::ScriptedServer server_;
  io::IoRuntime runtime_;
  io::WorkerPool workers_{runtime_, 1, "test"};
};

TEST_F(AwsChain, asks_in_the_order_of_the_aws_tools) {
  EXPECT_EQ(found(), "FROM-INSTANCE");
  container();
  EXPECT_EQ(found(), "FROM-CONTAINER");
  config_file();
  EXPECT_EQ(found(), "FROM-CONFIG");
  credentials_file();
  EXPECT_EQ(found(), "FROM-CREDENTIALS");
  web_identity();
  EXPECT_EQ(found(), "FROM-STS");
  keys_in_environment();
  EXPECT_EQ(found(), "FROM-ENVIRONMENT");
}

TEST_F(AwsChain, says_what_each_place_lacks_when_there_are_none) {
  no_instance();
  const auto keys = fetch();
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().code, Code::not_found);
  for (const std::string& words :
       {std::string("environment: AWS_ACCESS_KEY_ID is not set"),
        std::string("AWS_WEB_IDENTITY_TOKEN_FILE is not set"),
        path(".aws/credentials") + " has no such profile", path(".aws/config"),
        std::string("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        std::string("AWS_EC2_METADATA_DISABLED is set")}) {
    EXPECT_NE(keys.error().detail.find(words), std::string::npos) << keys.error().detail;
  }
}

TEST_F(AwsChain, ends_at_what_is_set_up_and_fails) {
  keys_in_environment();
  variables.erase("AWS_SECRET_ACCESS_KEY");
  EXPECT_NE(found().find("AWS_SECRET_ACCESS_KEY is not"), std::string::npos) << found();
  variables.erase("AWS_ACCESS_KEY_ID");

  web_identity();
  variables.erase("AWS_ROLE_ARN");
  EXPECT_NE(found().find("no AWS_ROLE_ARN"), std::string::npos) << found();
  variables["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/x";
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = path("gone");
  EXPECT_NE(found().find("the token file " + path("gone") + " cannot be read"), std::string::npos)
      << found();
  variables.erase("AWS_WEB_IDENTITY_TOKEN_FILE");

  container();
  container_status = 403;
  EXPECT_NE(found().find("container: it answered 403"), std::string::npos) << found();
}

TEST_F(AwsChain, never_shows_a_secret_in_an_error) {
  write(".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key SECRETWORD\n");
  EXPECT_NE(found().find("line 3"), std::string::npos) << found();
  EXPECT_EQ(found().find("SECRETWORD"), std::string::npos) << found();
  write(".aws/credentials", "[default]\naws_secret_access_key = SECRETWORD\n");
  no_instance();
  EXPECT_EQ(found().find("SECRETWORD"), std::string::npos) << found();
}

TEST_F(AwsChain, follows_profiles_paths_and_regions) {
  credentials_file("audit");
  config_file("profile audit");
  no_instance();
  EXPECT_NE(found().find("There are no AWS credentials"), std::string::npos);
  variables["AWS_PROFILE"] = "audit";
  EXPECT_EQ(found(), "FROM-CREDENTIALS");
  EXPECT_EQ(aws_region(setup()).value(), "eu-south-2");
  EXPECT_NE(fetch()->source.find("profile audit of "), std::string::npos);

  variables["AWS_SHARED_CREDENTIALS_FILE"] = path("nowhere");
  EXPECT_EQ(found(), "FROM-CONFIG");
  variables["AWS_DEFAULT_REGION"] = "eu-west-2";
  EXPECT_EQ(aws_region(setup()).value(), "eu-west-2");
  variables["AWS_REGION"] = "eu-west-3";
  EXPECT_EQ(aws_region(setup()).value(), "eu-west-3");

  variables["AWS_PROFILE"] = "adit";
  EXPECT_NE(found().find("profile adit"), std::string::npos)
      << "a profile that was named must be there: " << found();

  // Our own setting is above AWS_PROFILE, and above keys in the environment.
  keys_in_environment();
  profile = "audit";
  EXPECT_EQ(found(), "FROM-CONFIG");
}

TEST_F(AwsChain, names_what_a_profile_relies_on_and_we_do_not_follow) {
  for (const char* name : {"credential_process", "sso_session", "source_profile"}) {
    write(".aws/config", "[default]\n" + std::string(name) + " = x\n");
    EXPECT_NE(found().find(std::string("relies on ") + name), std::string::npos) << found();
  }
}

TEST_F(AwsChain, a_profile_may_name_a_web_identity) {
  write("token", "profile-token");
  write(".aws/config", "[default]\nrole_arn = arn:aws:iam::1:role/p\nweb_identity_token_file = " +
                           path("token") + "\nrole_session_name = night\n");
  EXPECT_EQ(found(), "FROM-STS");
  const std::string asked = request("POST /");
  EXPECT_NE(asked.find("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"), std::string::npos);
  EXPECT_NE(asked.find("&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fp&"), std::string::npos) << asked;
  EXPECT_NE(asked.find("&RoleSessionName=night&WebIdentityToken=profile-token"), std::string::npos);
}

TEST_F(AwsChain, sends_a_containers_token_and_reads_it_anew_each_time) {
  container();
  variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "from-variable";
  EXPECT_EQ(found(), "FROM-CONTAINER");
  EXPECT_NE(request("Authorization: from-variable"), "");
  write("pod", "from-file-1");
  variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = path("pod");
  EXPECT_EQ(found(), "FROM-CONTAINER");
  EXPECT_NE(request("Authorization: from-file-1"), "");
  write("pod", "from-file-2");
  EXPECT_EQ(found(), "FROM-CONTAINER");
  EXPECT_NE(request("Authorization: from-file-2"), "");
  write("pod", "two\nlines");
  EXPECT_NE(found().find("holds no token"), std::string::npos) << found();
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://10.1.2.3/creds";
  EXPECT_NE(found().find("not to 10.1.2.3"), std::string::npos) << found();
}

TEST_F(AwsChain, an_instance_without_a_role_or_without_a_service_is_nothing_set_up) {
  instance_has_role = false;
  EXPECT_NE(found().find("this instance has no role"), std::string::npos) << found();
  variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1";
  EXPECT_NE(found().find("instance metadata: cannot connect"), std::string::npos) << found();
}

TEST_F(AwsChain, stays_with_the_source_that_answered_first) {
  config_file();
  EXPECT_EQ(found_twice([this] { keys_in_environment(); }), "FROM-CONFIG");
  variables.erase("AWS_ACCESS_KEY_ID");
  const std::string gone = found_twice([this] { write(".aws/config", "[default]\n"); });
  EXPECT_NE(gone.find("AWS credentials from profile default: "), std::string::npos) << gone;
}

}  // namespace
}  // namespace daybook::storage
