// Section "disk": what the disk below --dir takes, one writer at a time.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include <fcntl.h>

#include <fmt/format.h>

#include "bench/percentiles.hpp"
#include "bench/roofline/clock.hpp"
#include "bench/roofline/scratch_folder.hpp"
#include "bench/roofline/settings.hpp"
#include "bench/roofline/sockets.hpp"
#include "bench/roofline/stored_bodies.hpp"

namespace daybook::bench::roofline {
namespace {

// A file starts again at this size, so that a long run needs no more disk.
constexpr std::uint64_t kFileBytesMax = 1 * core::GiB;
constexpr std::size_t kAlignment = 4096;  // of O_DIRECT, at most

core::Failure failed(std::string_view what) {
  return core::fail(core::Code::unavailable, core::Origin::self, core::Retry::never,
                    fmt::format("{}: {}", what, std::strerror(errno)));
}

class File {
 public:
  File(const std::filesystem::path& path, int flags)
      : descriptor_(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | flags, 0600)) {}

  [[nodiscard]] bool is_open() const { return descriptor_.number() >= 0; }

  [[nodiscard]] bool append(core::Bytes bytes) {
    if (size_ + bytes.size() > kFileBytesMax) {
      if (::ftruncate(descriptor_.number(), 0) != 0) return false;
      size_ = 0;
    }
    while (!bytes.empty()) {
      const ssize_t wrote =
          ::pwrite(descriptor_.number(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return false;
      size_ += static_cast<std::uint64_t>(wrote);
      bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    }
    return true;
  }
  [[nodiscard]] bool sync() const { return ::fdatasync(descriptor_.number()) == 0; }

 private:
  Descriptor descriptor_;
  std::uint64_t size_ = 0;
};

// write(turn) writes something and returns its bytes, those of the payload it stands for, or
// nothing with errno set.
struct Written {
  std::uint64_t bytes = 0;
  std::uint64_t payload_bytes = 0;
};
template <class Write>
core::Result<Row> measure_writes(std::string_view name, double seconds, const Write& write) {
  Percentiles took;
  std::uint64_t payload_bytes = 0, writes = 0;
  int error = 0;
  const Rate rate = measure(1, seconds, [&](std::size_t, std::uint64_t turn) -> std::uint64_t {
    if (error != 0) return 1;
    const auto begin = Clock::now();
    const std::optional<Written> written = write(turn);
    if (!written) {
      error = errno;
      return 1;
    }
    if (turn > 0) {
      took.record(Clock::now() - begin);
      payload_bytes += written->payload_bytes;
      ++writes;
    }
    return written->bytes;
  });
  if (error != 0) {
    errno = error;
    return failed(name);
  }
  return Row{{"what", name},
             {"mb_per_s", rounded(rate.mb_per_s())},
             {"payload_mb_per_s", rounded(megabytes(payload_bytes) / rate.seconds)},
             {"writes_per_s", rounded(static_cast<double>(writes) / rate.seconds)},
             {"p50_ms", rounded(took.milliseconds_at(0.50))},
             {"p99_ms", rounded(took.milliseconds_at(0.99))},
             {"cpu_s_per_gb", rounded(rate.cpu_per_gb())}};
}

core::Result<void> measure_direct(const Settings& settings, const PayloadSource& payloads,
                                  const std::filesystem::path& folder, Report& report) {
  File file(folder / "direct", O_DIRECT);
  if (!file.is_open()) {
    report.skip(fmt::format("O_DIRECT: {}. A memory file system has none; --dir chooses a disk",
                            std::strerror(errno)));
    return {};
  }
  constexpr std::size_t kChunk = core::MiB;
  const std::unique_ptr<void, decltype(&std::free)> chunk(std::aligned_alloc(kAlignment, kChunk),
                                                          &std::free);
  const core::Bytes body = payloads.at(0).bytes;
  for (std::size_t at = 0; at < kChunk; at += std::min(body.size(), kChunk - at)) {
    std::memcpy(static_cast<std::byte*>(chunk.get()) + at, body.data(),
                std::min(body.size(), kChunk - at));
  }
  const core::Bytes bytes(static_cast<const std::byte*>(chunk.get()), kChunk);
  auto row = measure_writes("O_DIRECT writes of 1 MiB", settings.seconds,
                            [&](std::uint64_t) -> std::optional<Written> {
                              if (!file.append(bytes)) return std::nullopt;
                              return Written{kChunk, kChunk};
                            });
  if (!row) return core::pass(row);
  report.add(std::move(*row));
  return {};
}

}  // namespace

core::Result<void> measure_disk(const Settings& settings, const PayloadSource& payloads,
                                Report& report) {
  report.begin_section("disk", "one writer, files below --dir");
  const ScratchFolder folder(settings.dir);
  if (folder.error()) {
    report.skip(settings.dir.filename().string() + ": " + folder.error().message());
    return {};
  }
  if (auto direct = measure_direct(settings, payloads, folder.path(), report); !direct) {
    return direct;
  }
  for (const Form form : {Form::raw, Form::sealed}) {
    const StoredBodies bodies(payloads, form);
    File file(folder.path() / "synced", 0);
    if (!file.is_open()) return failed("open");
    auto row = measure_writes(fmt::format("write + fdatasync, {}", bodies.name()), settings.seconds,
                              [&](std::uint64_t turn) -> std::optional<Written> {
                                const core::Bytes body = bodies.at(turn);
                                if (!file.append(body) || !file.sync()) return std::nullopt;
                                return Written{body.size(), bodies.payload_bytes(turn)};
                              });
    if (!row) return core::pass(row);
    report.add(std::move(*row));
  }
  return {};
}

}  // namespace daybook::bench::roofline
