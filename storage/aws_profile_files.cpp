#include "storage/aws_profile_files.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#include <sys/stat.h>

#include "core/text.hpp"
#include "core/units.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

constexpr std::uint64_t kFileBytesMax = core::MiB;

core::Failure refuse(std::string detail) {
  return core::fail(Code::misconfigured, Origin::self, Retry::safe, std::move(detail));
}

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

// Up to a '#' or ';' that follows white space.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if ((text[i] == '#' || text[i] == ';') && is_space(text[i - 1])) return text.substr(0, i);
  }
  return text;
}

// The profile a section's title names; nullopt: the section is none.
std::optional<std::string> profile_of(std::string_view title, AwsFileKind kind) {
  constexpr std::string_view kWord = "profile";
  title = core::trim(title);
  if (kind == AwsFileKind::credentials) return std::string(title);
  if (title == "default") return std::string(title);
  if (!title.starts_with(kWord) || title.size() == kWord.size() || !is_space(title[kWord.size()])) {
    return std::nullopt;
  }
  std::string_view name = core::trim(title.substr(kWord.size()));
  if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') &&
      name.front() == name.back()) {
    name = name.substr(1, name.size() - 2);
  }
  return std::string(name);
}

class Parser {
 public:
  explicit Parser(AwsFileKind kind) : kind_(kind) {}

  Result<AwsProfiles> parse(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      ++number_;
      if (auto taken = take(line); !taken) return pass(std::move(taken));
    }
    return std::move(profiles_);
  }

 private:
  Result<void> take(std::string_view line) {
    std::size_t indent = 0;
    while (indent < line.size() && is_space(line[indent])) ++indent;
    line.remove_prefix(indent);
    if (line.empty() || line.front() == '#' || line.front() == ';') return {};
    if (line.find('\0') != std::string_view::npos) return bad("it holds a NUL byte");
    if (line.front() == '[' && indent == 0) return begin_section(line);
    if (in_property_ && indent > property_indent_) return {};
    return take_property(line, indent);
  }

  Result<void> begin_section(std::string_view line) {
    const std::size_t close = line.find(']');
    if (close == std::string_view::npos) return bad("the section's ']' is missing");
    const std::string_view title = core::trim(line.substr(1, close - 1));
    if (title.empty()) return bad("the section has no name");
    in_section_ = true;
    in_property_ = false;
    const auto name = profile_of(title, kind_);
    profile_ = name ? &profiles_[*name] : nullptr;
    // [profile default] is the one that counts, wherever it stands.
    if (name && *name == "default" && kind_ == AwsFileKind::config) {
      const bool plain = title == "default";
      if (plain && full_default_) {
        profile_ = nullptr;
      } else if (!plain && !full_default_) {
        full_default_ = true;
        profile_->clear();
      }
    }
    return {};
  }

  Result<void> take_property(std::string_view line, std::size_t indent) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return bad("there is no '='");
    const std::string_view name = core::trim(line.substr(0, equals));
    if (name.empty()) return bad("there is no name before '='");
    if (!in_section_) return bad("no section was begun");
    in_property_ = true;
    property_indent_ = indent;
    if (profile_ != nullptr) {
      (*profile_)[core::to_lower(name)] = core::trim(without_comment(line.substr(equals + 1)));
    }
    return {};
  }

  [[nodiscard]] core::Failure bad(const std::string& why) const {
    return refuse("line " + std::to_string(number_) + ": " + why);
  }

  const AwsFileKind kind_;
  AwsProfiles profiles_;
  AwsProfile* profile_ = nullptr;  // null: a section that is no profile
  bool in_section_ = false;
  bool in_property_ = false;
  bool full_default_ = false;
  std::size_t property_indent_ = 0;
  std::size_t number_ = 0;
};

}  // namespace

Result<AwsProfiles> parse_aws_profiles(std::string_view text, AwsFileKind kind) {
  return Parser(kind).parse(text);
}

Result<AwsProfiles> read_aws_profiles(const std::string& path, AwsFileKind kind) {
  const auto failed = [&path](const std::string& why) {
    return refuse("the AWS file " + path + " cannot be read: " + why);
  };
  struct stat figures{};
  if (::stat(path.c_str(), &figures) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return AwsProfiles{};
    return failed(std::strerror(errno));
  }
  if (!S_ISREG(figures.st_mode)) return failed("it is no file");
  if (static_cast<std::uint64_t>(figures.st_size) > kFileBytesMax) {
    return failed("it is larger than 1 MiB");
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return failed(std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  auto profiles = parse_aws_profiles(text.str(), kind);
  if (!profiles) return refuse("the AWS file " + path + ", " + profiles.error().detail);
  return profiles;
}

}  // namespace daybook::storage
