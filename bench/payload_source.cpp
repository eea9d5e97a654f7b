#include "bench/payload_source.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <sstream>

#include <zstd.h>

#include <fmt/format.h>

#include "bench/audit_text.hpp"
#include "core/digest.hpp"
#include "core/http/fields.hpp"

namespace daybook::bench {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

// Different bodies that a run cycles through: enough that no cache of the server's holds them all,
// few enough to fit in the client's memory.
constexpr std::size_t kPoolEntries = 48;
constexpr std::uint64_t kDefaultMin = 1 * core::MiB;
constexpr std::uint64_t kDefaultMax = 6 * core::MiB;
// Entries of the order; with 1000, --incompressible is exact to a tenth of a percent.
constexpr std::size_t kOrderEntries = 1000;

core::Failure bad_corpus(const std::filesystem::path& path, std::string_view what) {
  return core::fail(Code::invalid_argument, Origin::self, Retry::never,
                    fmt::format("{}: {}", path.string(), what));
}

Result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(file), {});
  if (!file) return bad_corpus(path, "cannot be read");
  return content;
}

Result<std::string> decompress(const std::filesystem::path& path, const std::string& packed) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        &ZSTD_freeDCtx);
  std::string text;
  ZSTD_inBuffer input{packed.data(), packed.size(), 0};
  std::size_t hint = 1;
  while (input.pos < input.size) {
    const std::size_t filled = text.size();
    text.resize(filled + core::MiB);
    ZSTD_outBuffer output{text.data() + filled, core::MiB, 0};
    hint = ZSTD_decompressStream(context.get(), &output, &input);
    if (ZSTD_isError(hint)) return bad_corpus(path, ZSTD_getErrorName(hint));
    text.resize(filled + output.pos);
  }
  // What did not fit into the last piece of output is still inside the context.
  while (hint != 0) {
    const std::size_t filled = text.size();
    text.resize(filled + core::MiB);
    ZSTD_outBuffer output{text.data() + filled, core::MiB, 0};
    hint = ZSTD_decompressStream(context.get(), &output, &input);
    text.resize(filled + output.pos);
    if (ZSTD_isError(hint) || output.pos == 0) return bad_corpus(path, "is cut short");
  }
  return text;
}

Result<std::string> read_text(const std::filesystem::path& path) {
  auto content = read_file(path);
  if (!content || path.extension() != ".zst") return content;
  return decompress(path, *content);
}

Payload make_payload(core::Bytes bytes, std::string content_type) {
  const core::Sha256 digest = core::sha256(bytes);
  return {core::ByteVector(bytes.begin(), bytes.end()), digest.hex(),
          core::http::format_content_digest(digest), std::move(content_type)};
}

struct Slice {
  std::string file;
  std::uint64_t begin = 0, end = 0;
  std::string sha256;
};

std::optional<Slice> parse_slice(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, '\t');) cells.push_back(cell);
  if (cells.size() < 7) return std::nullopt;
  Slice slice{cells[1], 0, 0, cells[6]};
  for (auto [text, number] : {std::pair(&cells[2], &slice.begin), {&cells[3], &slice.end}}) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
    if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  }
  return slice;
}

// The slices of payloads.tsv (id, file, begin, end, bytes, lines, sha256), each with the digest it
// promises.
Result<std::vector<Payload>> load_slices(const std::filesystem::path& corpus) {
  auto table = read_file(corpus / "payloads.tsv");
  if (!table) return core::pass(table);
  std::vector<Payload> pool;
  std::string loaded_file, text;
  std::istringstream lines(*table);
  std::string line;
  std::getline(lines, line);  // names of the columns
  while (std::getline(lines, line)) {
    const auto slice = parse_slice(line);
    if (!slice) return bad_corpus(corpus / "payloads.tsv", "has a bad line: " + line);
    if (slice->file != loaded_file) {
      auto content = read_text(corpus / slice->file);
      if (!content) return core::pass(content);
      text = std::move(*content);
      loaded_file = slice->file;
    }
    if (slice->begin >= slice->end || slice->end > text.size()) {
      return bad_corpus(corpus / slice->file, "is shorter than payloads.tsv says");
    }
    const std::string_view bytes =
        std::string_view(text).substr(slice->begin, slice->end - slice->begin);
    pool.push_back(make_payload(core::as_bytes(bytes), "application/x-ndjson"));
    if (pool.back().sha256_hex != slice->sha256) {
      return bad_corpus(corpus / slice->file,
                        "does not have the digest that payloads.tsv promises");
    }
  }
  if (pool.empty()) return bad_corpus(corpus / "payloads.tsv", "names no payload");
  return pool;
}

bool is_audit_file(const std::filesystem::path& path) {
  std::filesystem::path name = path.filename();
  if (name.extension() == ".zst") name = name.stem();
  const std::string extension = name.extension().string();
  return extension == ".json" || extension == ".jsonl" || extension == ".ndjson";
}

// All audit files of a folder as one text; only the mixed-* ones where there are any, because a log
// of one machine alone compresses far better than what an appliance sees.
Result<std::string> load_text(const std::filesystem::path& corpus) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(corpus, error)) {
    if (entry.is_regular_file(error) && is_audit_file(entry.path())) files.push_back(entry.path());
  }
  if (error) return bad_corpus(corpus, error.message());
  const auto is_mixed = [](const std::filesystem::path& file) {
    return file.filename().string().starts_with("mixed-");
  };
  if (std::ranges::any_of(files, is_mixed)) std::erase_if(files, std::not_fn(is_mixed));
  std::ranges::sort(files);
  std::string text;
  for (const auto& file : files) {
    auto content = read_text(file);
    if (!content) return core::pass(content);
    text += *content;
    if (!text.empty() && text.back() != '\n') text += '\n';
  }
  if (text.empty()) return bad_corpus(corpus, "has no .json, .jsonl or .ndjson file (.zst or not)");
  return text;
}

// `bytes` characters of the text from the start of a random line on; past the end it starts again.
std::string cut(const std::string& text, std::uint64_t bytes, std::mt19937_64& random) {
  const std::size_t line_end = text.find('\n', random() % text.size());
  std::size_t at = line_end == std::string::npos ? 0 : line_end + 1;
  std::string piece;
  piece.reserve(bytes);
  while (piece.size() < bytes) {
    if (at >= text.size()) at = 0;
    const std::size_t length = std::min<std::size_t>(bytes - piece.size(), text.size() - at);
    piece.append(text, at, length);
    at += length;
  }
  return piece;
}

// The last part only: a result must not tell where a machine keeps its files.
std::string folder_name(const std::filesystem::path& folder) {
  return (folder / "").parent_path().filename().string();
}

std::string random_bytes(std::uint64_t bytes, std::mt19937_64& random) {
  std::string noise(bytes, '\0');
  for (std::size_t at = 0; at < noise.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(noise.data() + at, &word, std::min(sizeof word, noise.size() - at));
  }
  return noise;
}

}  // namespace

std::uint64_t PayloadSource::pool_bytes() const {
  std::uint64_t total = 0;
  for (const Payload& payload : pool_) total += payload.bytes.size();
  return total;
}

Result<void> PayloadSource::write_to(const std::filesystem::path& folder) const {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return bad_corpus(folder, error.message());
  const auto write = [&folder](const std::string& name, std::string_view text) -> Result<void> {
    std::ofstream file(folder / name, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    if (!file) return bad_corpus(folder / name, "cannot be written");
    return {};
  };
  for (std::size_t number = 0; number < pool_.size(); ++number) {
    auto written = write(std::to_string(number), core::as_text(pool_[number].bytes));
    if (!written) return written;
  }
  std::string order;
  for (const std::size_t number : order_) order += fmt::format("{}\n", number);
  return write("order", order);
}

Result<PayloadSource> PayloadSource::load(const PayloadOptions& options) {
  PayloadSource source;
  std::mt19937_64 random(options.seed);
  const bool sized = options.size_max > 0;
  const std::uint64_t size_min = sized ? options.size_min : kDefaultMin;
  const std::uint64_t size_max = sized ? options.size_max : kDefaultMax;
  const auto next_size = [&] { return size_min + random() % (size_max - size_min + 1); };

  const bool has_table =
      !options.corpus.empty() && std::filesystem::exists(options.corpus / "payloads.tsv");
  if (has_table && !sized) {
    auto slices = load_slices(options.corpus);
    if (!slices) return core::pass(slices);
    source.pool_ = std::move(*slices);
    source.description_ = "payloads.tsv of " + folder_name(options.corpus);
  } else {
    std::string text;
    if (options.corpus.empty()) {
      text = make_audit_text(4 * kDefaultMax, options.seed);
      source.description_ = "generated audit JSON";
    } else {
      auto loaded = load_text(options.corpus);
      if (!loaded) return core::pass(loaded);
      text = std::move(*loaded);
      source.description_ = folder_name(options.corpus) + " cut to size";
    }
    for (std::size_t entry = 0; entry < kPoolEntries; ++entry) {
      const std::string piece = cut(text, next_size(), random);
      source.pool_.push_back(make_payload(core::as_bytes(piece), "application/x-ndjson"));
    }
  }

  // The order: a share of incompressible records, the others in turn, all shuffled by the seed.
  const std::size_t compressible = source.pool_.size();
  const auto noisy = static_cast<std::size_t>(std::lround(options.incompressible * kOrderEntries));
  if (noisy > 0) {
    for (std::size_t entry = 0; entry < kPoolEntries / 4; ++entry) {
      const std::string noise = random_bytes(next_size(), random);
      source.pool_.push_back(make_payload(core::as_bytes(noise), "application/octet-stream"));
    }
    source.description_ += fmt::format(", {:.1f}% random bytes", options.incompressible * 100);
  }
  const std::size_t noises = source.pool_.size() - compressible;
  for (std::size_t entry = 0; entry < kOrderEntries; ++entry) {
    source.order_.push_back(entry < noisy ? compressible + entry % noises : entry % compressible);
  }
  for (std::size_t entry = kOrderEntries - 1; entry > 0; --entry) {
    std::swap(source.order_[entry], source.order_[random() % (entry + 1)]);
  }
  return source;
}

}  // namespace daybook::bench
