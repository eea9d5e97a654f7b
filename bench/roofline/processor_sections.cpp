// Sections "memory", "sha256", "zstd" and "seal": what the processor does, on bytes that come from
// the payloads (more of them than its caches hold, as in a server that sees each byte once).
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

#include <zstd.h>

#include "bench/roofline/clock.hpp"
#include "bench/roofline/servers.hpp"
#include "bench/roofline/settings.hpp"
#include "core/block.hpp"
#include "core/check.hpp"
#include "core/digest.hpp"
#include "core/frame.hpp"
#include "core/hash_lines.hpp"
#include "core/limits.hpp"

namespace daybook::bench::roofline {
namespace {

using core::limits::kBlockBytes;

// The payloads in blocks, as they would come: the last block of each may be shorter.
class Blocks {
 public:
  Blocks(const PayloadSource& payloads, std::size_t block_bytes) {
    for (std::uint64_t number = 0; number < kPayloads; ++number) {
      core::Bytes rest = payloads.at(number).bytes;
      while (!rest.empty()) {
        blocks_.push_back(rest.first(std::min(rest.size(), block_bytes)));
        rest = rest.subspan(blocks_.back().size());
      }
    }
  }
  // Threads start at different places and do not follow each other.
  [[nodiscard]] core::Bytes at(std::size_t thread, std::uint64_t turn) const {
    return blocks_[(thread * blocks_.size() / 2 + turn) % blocks_.size()];
  }

 private:
  static constexpr std::uint64_t kPayloads = 64;
  std::vector<core::Bytes> blocks_;
};

std::vector<std::size_t> thread_counts(const Settings& settings) {
  if (settings.cores == 1) return {1};
  return {1, settings.cores};
}

Row rate_row(std::string_view name, std::size_t threads, const Rate& rate) {
  return {{"what", name},
          {"threads", threads},
          {"mb_per_s", rounded(rate.mb_per_s())},
          {"cpu_s_per_gb", rounded(rate.cpu_per_gb())}};
}

// One compressor of our own for what compress_frame does not offer: other block sizes.
class Compressor {
 public:
  Compressor(int level, std::size_t block_bytes) : context_(ZSTD_createCCtx()) {
    CHECK(context_ != nullptr);
    set(ZSTD_c_compressionLevel, level);
    set(ZSTD_c_windowLog, std::countr_zero(block_bytes));  // the whole block, as in compress_frame
    output_.resize(ZSTD_compressBound(block_bytes));
  }
  [[nodiscard]] std::size_t compress(core::Bytes block) {
    const std::size_t written =
        ZSTD_compress2(context_.get(), output_.data(), output_.size(), block.data(), block.size());
    CHECK(!ZSTD_isError(written));
    return written;
  }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  void set(ZSTD_cParameter parameter, int value) {
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), parameter, value)));
  }
  std::unique_ptr<ZSTD_CCtx, Free> context_;
  core::ByteVector output_;
};

Row zstd_row(std::string_view name, int level, std::size_t block_bytes, const Rate& rate,
             std::uint64_t stored) {
  Row row = rate_row(name, 1, rate);
  row["level"] = level;
  row["block_kib"] = block_bytes / core::KiB;
  row["content_ratio"] = rounded(static_cast<double>(rate.bytes) /
                                 static_cast<double>(std::max<std::uint64_t>(stored, 1)));
  return row;
}

}  // namespace

core::Result<void> measure_memory(const Settings& settings, const PayloadSource& payloads,
                                  Report& report) {
  report.begin_section("memory", "copied from the payloads");
  const Blocks blocks(payloads, kBlockBytes);
  // Into one block that stays in the cache, as a socket's bytes are; and into memory far larger.
  constexpr std::size_t kFarBlocks = 128;
  for (const bool near : {true, false}) {
    for (const std::size_t threads : thread_counts(settings)) {
      const std::size_t each = near ? 1 : kFarBlocks;
      std::vector<core::ByteVector> targets(threads, core::ByteVector(each * kBlockBytes));
      const Rate rate =
          measure(threads, settings.seconds, [&](std::size_t thread, std::uint64_t turn) {
            const core::Bytes from = blocks.at(thread, turn);
            std::memcpy(targets[thread].data() + turn % each * kBlockBytes, from.data(),
                        from.size());
            return from.size();
          });
      report.add(rate_row(near ? "copy into one 1 MiB block" : "copy into 128 MiB", threads, rate));
    }
  }
  return {};
}

core::Result<void> measure_sha256(const Settings& settings, const PayloadSource& payloads,
                                  Report& report) {
  report.begin_section("sha256", "digests of blocks of 1 MiB");
  const Blocks blocks(payloads, kBlockBytes);
  for (const std::size_t threads : thread_counts(settings)) {
    const Rate one =
        measure(threads, settings.seconds, [&](std::size_t thread, std::uint64_t turn) {
          core::Sha256Hasher hasher;
          hasher.update(blocks.at(thread, turn));
          static_cast<void>(hasher.finish());
          return blocks.at(thread, turn).size();
        });
    report.add(rate_row("one message", threads, one));
    const Rate two =
        measure(threads, settings.seconds, [&](std::size_t thread, std::uint64_t turn) {
          core::Sha256Hasher first, second;
          const core::Bytes first_block = blocks.at(thread, 2 * turn);
          const core::Bytes second_block = blocks.at(thread, 2 * turn + 1);
          core::Sha256Hasher::update_pair(first, first_block, second, second_block);
          static_cast<void>(first.finish());
          static_cast<void>(second.finish());
          return first_block.size() + second_block.size();
        });
    report.add(rate_row("two messages side by side", threads, two));
    // As uploads do it: two lines for each thread, whose blocks may meet.
    core::HashLines lines;
    const Rate product =
        measure(threads, settings.seconds, [&](std::size_t thread, std::uint64_t turn) {
          const core::Bytes first_block = blocks.at(thread, 2 * turn);
          const core::Bytes second_block = blocks.at(thread, 2 * turn + 1);
          const auto first = lines.open();
          const auto second = lines.open();
          const std::uint64_t first_ticket = lines.push(first, first_block);
          const std::uint64_t second_ticket = lines.push(second, second_block);
          lines.advance(first, first_ticket);
          lines.advance(second, second_ticket);
          lines.finish(first, first_ticket);
          lines.finish(second, second_ticket);
          static_cast<void>(first->digest());
          static_cast<void>(second->digest());
          return first_block.size() + second_block.size();
        });
    report.add(rate_row("hash lines of two uploads", threads, product));
  }
  return {};
}

core::Result<void> measure_zstd(const Settings& settings, const PayloadSource& payloads,
                                Report& report) {
  report.begin_section("zstd", "one thread, a frame for each block");
  std::uint64_t stored = 0;
  const Blocks product_blocks(payloads, kBlockBytes);
  const Rate product = measure(1, settings.seconds, [&](std::size_t, std::uint64_t turn) {
    const core::Bytes block = product_blocks.at(0, turn);
    const std::size_t written = core::compress_frame(block, product_level()).size();
    if (turn > 0) stored += written;
    return block.size();
  });
  report.add(zstd_row("the product's frame", product_level(), kBlockBytes, product, stored));
  for (const int level : {-3, -1, 1, 2, 3}) {
    for (const std::size_t block_bytes :
         {256 * core::KiB, 512 * core::KiB, 1 * core::MiB, 2 * core::MiB}) {
      const Blocks blocks(payloads, block_bytes);
      Compressor compressor(level, block_bytes);
      stored = 0;
      const Rate rate = measure(1, settings.seconds, [&](std::size_t, std::uint64_t turn) {
        const core::Bytes block = blocks.at(0, turn);
        const std::size_t written = compressor.compress(block);
        if (turn > 0) stored += written;
        return block.size();
      });
      report.add(zstd_row("zstd", level, block_bytes, rate, stored));
    }
  }
  return {};
}

core::Result<void> measure_seal(const Settings& settings, const PayloadSource& payloads,
                                Report& report) {
  report.begin_section("seal", "SHA-256 and zstd of the same block, no socket");
  const Blocks blocks(payloads, kBlockBytes);
  for (const std::size_t threads : thread_counts(settings)) {
    const Rate one =
        measure(threads, settings.seconds, [&](std::size_t thread, std::uint64_t turn) {
          const core::Bytes block = blocks.at(thread, turn);
          core::Sha256Hasher hasher;
          hasher.update(block);
          static_cast<void>(hasher.finish());
          static_cast<void>(core::compress_frame(block, product_level()));
          return block.size();
        });
    report.add(rate_row("one block", threads, one));
    const Rate two =
        measure(threads, settings.seconds, [&](std::size_t thread, std::uint64_t turn) {
          const core::Bytes first_block = blocks.at(thread, 2 * turn);
          const core::Bytes second_block = blocks.at(thread, 2 * turn + 1);
          core::Sha256Hasher first, second;
          core::Sha256Hasher::update_pair(first, first_block, second, second_block);
          static_cast<void>(first.finish());
          static_cast<void>(second.finish());
          static_cast<void>(core::compress_frame(second_block, product_level()));
          static_cast<void>(core::compress_frame(first_block, product_level()));
          return first_block.size() + second_block.size();
        });
    report.add(rate_row("two blocks side by side", threads, two));
  }
  return {};
}

}  // namespace daybook::bench::roofline
