#include "storage/trail_reader.hpp"

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>

#include "storage/trail.hpp"

namespace daybook::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kIdChars = 36;
constexpr std::size_t kDigestChars = 64;

struct Line {
  core::RecordId id;
  TrailRecord record;
};

// "<id> <sha256> <size> <partition>"
std::optional<Line> parse_line(std::string_view line) {
  constexpr std::size_t kSizeAt = kIdChars + 1 + kDigestChars + 1;
  if (line.size() <= kSizeAt || line[kIdChars] != ' ' || line[kSizeAt - 1] != ' ') {
    return std::nullopt;
  }
  const auto id = core::RecordId::parse(line.substr(0, kIdChars));
  const auto sha256 = core::Sha256::from_hex(line.substr(kIdChars + 1, kDigestChars));
  if (!id || !sha256) return std::nullopt;
  Line parsed{*id, {*sha256, 0, TrailFate::unknown}};
  std::uint32_t partition = 0;
  const char* const end = line.data() + line.size();
  const auto size = std::from_chars(line.data() + kSizeAt, end, parsed.record.size);
  if (size.ec != std::errc{} || size.ptr == end || *size.ptr != ' ') return std::nullopt;
  const auto last = std::from_chars(size.ptr + 1, end, partition);
  if (last.ec != std::errc{} || last.ptr != end || partition != id->partition()) {
    return std::nullopt;
  }
  return parsed;
}

struct Remark {
  core::RecordId id;
  TrailFate fate;
};

void apply(const Remark& remark, TrailContents& contents) {
  const auto found = contents.records.find(remark.id);
  // A record that failed on one way may have become durable on another; never the other way round.
  if (found != contents.records.end() && found->second.fate != TrailFate::stored) {
    found->second.fate = remark.fate;
  }
}

// contents null: only the remarks are wanted.
core::Result<void> read_file(const std::string& file, TrailContents* contents,
                             std::vector<Remark>& remarks) {
  std::ifstream input(file, std::ios::binary);
  if (!input) {
    return core::fail(core::Code::unavailable, core::Origin::self, core::Retry::safe,
                      "The trail file " + file + " cannot be read.");
  }
  bool remarked = false;  // this file tells what became of its records
  bool good = true;
  for (std::string line; std::getline(input, line);) {
    if (input.eof()) {  // no newline behind it
      if (contents != nullptr) contents->torn.push_back(file);
      break;
    }
    const std::string_view text = line;
    if (text == kTrailHead) remarked = true;
    if (text.starts_with('#')) {
      const bool stored = text.starts_with(kStoredRemark);
      const bool failed = text.starts_with(kFailedRemark);
      const auto id = core::RecordId::parse(text.substr(text.rfind(' ') + 1));
      if ((stored || failed) && id) {
        remarks.push_back({*id, stored ? TrailFate::stored : TrailFate::failed});
      }
      continue;
    }
    if (contents == nullptr) continue;
    auto parsed = parse_line(text);
    if (!parsed) {
      good = false;
      continue;
    }
    if (!remarked) parsed->record.fate = TrailFate::stored;
    contents->records.emplace(parsed->id, parsed->record);
  }
  if (!good) contents->damaged.push_back(file);
  return {};
}

}  // namespace

core::Result<std::vector<std::string>> list_trail(const std::string& dir, core::WallTime since) {
  std::error_code error;
  if (!fs::exists(dir, error) && !error) return std::vector<std::string>{};
  std::set<std::string> files;  // their names begin with the time
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() != ".trail") continue;
    std::error_code gone;
    const auto written = std::chrono::file_clock::to_sys(entry->last_write_time(gone));
    if (!gone && written >= since) files.insert(entry->path().string());
  }
  if (error) {
    return core::fail(core::Code::unavailable, core::Origin::self, core::Retry::safe,
                      "The trail folder " + dir + " cannot be read: " + error.message() + ".");
  }
  return std::vector<std::string>(files.begin(), files.end());
}

core::Result<TrailContents> read_trail_file(const std::string& file, const std::string& next) {
  TrailContents contents;
  contents.files = 1;
  std::vector<Remark> remarks;
  if (auto read = read_file(file, &contents, remarks); !read) return pass(read);
  if (!next.empty()) {
    if (auto read = read_file(next, nullptr, remarks); !read) return pass(read);
  }
  for (const Remark& remark : remarks) apply(remark, contents);
  return contents;
}

core::Result<TrailContents> read_trail(const std::string& dir, core::WallTime since) {
  const auto files = list_trail(dir, since);
  if (!files) return pass(files);
  TrailContents contents;
  std::vector<Remark> remarks;
  for (const std::string& file : *files) {
    if (auto read = read_file(file, &contents, remarks); !read) return pass(read);
  }
  contents.files = files->size();
  for (const Remark& remark : remarks) apply(remark, contents);
  return contents;
}

}  // namespace daybook::storage
