// What a payload costs on its way through core: hash, compress and decompress on one thread, the
// whole sealing on one and on two; and what a request's head costs. Bytes per second are payload
// bytes. Run: build/release/bench/bench_micro
#include <algorithm>
#include <random>

#include <benchmark/benchmark.h>

#include "bench/audit_text.hpp"
#include "core/digest.hpp"
#include "core/frame.hpp"
#include "core/http/chunked.hpp"
#include "core/http/head_parser.hpp"
#include "core/limits.hpp"
#include "core/sealer.hpp"
#include "io/runtime.hpp"
#include "io/worker_pool.hpp"

namespace daybook::bench {
namespace {

constexpr std::size_t kBlock = core::limits::kBlockBytes;

// More blocks than the caches hold, as in a server that sees each byte once.
constexpr std::size_t kBlocks = 32;

std::string audit_blocks() {
  return make_audit_text(kBlocks * kBlock, 1);
}

std::string random_blocks() {
  std::mt19937_64 random(1);
  std::string noise;
  while (noise.size() < kBlocks * kBlock) {
    const std::uint64_t word = random();
    noise.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return noise;
}

core::Bytes block_of(const std::string& text, std::size_t number) {
  return core::as_bytes(std::string_view(text).substr(number % kBlocks * kBlock, kBlock));
}

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void hash_block(benchmark::State& state) {
  const std::string text = audit_blocks();
  std::size_t number = 0;
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(core::sha256(block_of(text, number++)));
  count_bytes(state, kBlock);
}
BENCHMARK(hash_block);

void compress_block(benchmark::State& state, std::string (*make)(), int level) {
  const std::string text = make();
  std::size_t number = 0, stored = 0;
  for ([[maybe_unused]] auto _ : state)
    stored += core::compress_frame(block_of(text, number++), level).size();
  count_bytes(state, kBlock);
  state.counters["ratio"] = static_cast<double>(number * kBlock) / static_cast<double>(stored);
}
BENCHMARK_CAPTURE(compress_block, audit_level_1, audit_blocks, 1);
BENCHMARK_CAPTURE(compress_block, audit_level_3, audit_blocks, 3);
BENCHMARK_CAPTURE(compress_block, random_level_1, random_blocks, 1);

void decompress_block(benchmark::State& state) {
  const std::string text = audit_blocks();
  std::vector<core::ByteVector> frames;
  frames.reserve(kBlocks);
  for (std::size_t number = 0; number < kBlocks; ++number) {
    frames.push_back(core::compress_frame(block_of(text, number), 1));
  }
  std::size_t number = 0;
  for ([[maybe_unused]] auto _ : state) {
    auto block = core::decompress_frame(frames[number++ % kBlocks], kBlock);
    if (!block) state.SkipWithError(block.error().detail.c_str());
    benchmark::DoNotOptimize(block);
  }
  count_bytes(state, kBlock);
}
BENCHMARK(decompress_block);

core::Task<> seal_each(benchmark::State& state, io::IoRuntime& runtime, io::WorkerPool& workers,
                       const std::string& text) {
  constexpr std::size_t kRead = 256 * core::KiB;  // what one read of a socket brings
  core::BlockPool blocks(2 * core::limits::kBlocksInFlight);
  core::HashLines lines;
  for (auto _ : state) {
    core::PayloadSealer sealer(runtime, workers, blocks, lines, 1);
    for (core::Bytes rest = core::as_bytes(text); !rest.empty();) {
      co_await sealer.make_room();
      const core::MutableBytes room = sealer.room();
      const std::size_t bytes = std::min({room.size(), rest.size(), kRead});
      std::ranges::copy(rest.first(bytes), room.begin());
      sealer.filled(bytes);
      rest = rest.subspan(bytes);
    }
    const auto sealed = co_await sealer.finish();
    benchmark::DoNotOptimize(sealed.sha256);
  }
}

// A body of 4 MiB from its first read to its digest and frames, beside nothing else.
void seal_payload(benchmark::State& state) {
  const std::string text = make_audit_text(4 * core::MiB, 1);
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, static_cast<std::size_t>(state.range(0)), "seal");
  runtime.spawn(seal_each(state, runtime, workers, text));
  runtime.run();
  count_bytes(state, text.size());
}
BENCHMARK(seal_payload)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

void parse_head(benchmark::State& state) {
  const std::string head =
      "POST /v1/records HTTP/1.1\r\nHost: daybook.example.org:7080\r\nUser-Agent: shipper/1.9\r\n"
      "Content-Type: application/x-ndjson\r\nContent-Length: 4194304\r\nce-id: 8f93d205686032b8\r\n"
      "ce-source: /ledger/eu-central\r\nce-type: audit.batch\r\nAccept: */*\r\n"
      "Content-Digest: sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:\r\n\r\n";
  for ([[maybe_unused]] auto _ : state) {
    auto parsed = core::http::parse_request_head(core::as_bytes(head));
    if (!std::holds_alternative<core::http::Parsed<core::http::RequestHead>>(parsed)) {
      state.SkipWithError("the head was refused");
    }
    benchmark::DoNotOptimize(parsed);
  }
  count_bytes(state, head.size());
}
BENCHMARK(parse_head);

void decode_chunked(benchmark::State& state) {
  constexpr std::size_t kChunk = 16 * core::KiB;
  const std::string text = make_audit_text(kBlock, 1);
  std::string body;
  for (std::size_t at = 0; at < text.size(); at += kChunk) {
    body += "4000\r\n" + text.substr(at, kChunk) + "\r\n";
  }
  body += "0\r\n\r\n";
  core::ByteVector output(kBlock);
  for ([[maybe_unused]] auto _ : state) {
    core::http::ChunkedDecoder decoder;
    core::Bytes input = core::as_bytes(body);
    core::MutableBytes room = output;
    for (bool done = false; !done;) {
      auto step = decoder.decode(input, room);
      if (!step) {
        state.SkipWithError(step.error().detail.c_str());
        return;
      }
      input = input.subspan(step->consumed);
      room = room.subspan(step->produced);
      done = step->done;
    }
  }
  count_bytes(state, kBlock);
}
BENCHMARK(decode_chunked);

}  // namespace
}  // namespace daybook::bench
