// What a payload costs on its way through core, one thread: hash, compress, decompress; and what a
// request's head costs. Bytes per second are payload bytes. Run: build/release/bench/daybook_micro
#include <random>

#include <benchmark/benchmark.h>

#include "bench/audit_text.hpp"
#include "core/digest.hpp"
#include "core/frame.hpp"
#include "core/http/chunked.hpp"
#include "core/http/head_parser.hpp"
#include "core/limits.hpp"

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
  for (auto _ : state) benchmark::DoNotOptimize(core::sha256(block_of(text, number++)));
  count_bytes(state, kBlock);
}
BENCHMARK(hash_block);

void compress_block(benchmark::State& state, std::string (*make)(), int level) {
  const std::string text = make();
  std::size_t number = 0, stored = 0;
  for (auto _ : state) stored += core::compress_frame(block_of(text, number++), level).size();
  count_bytes(state, kBlock);
  state.counters["ratio"] = static_cast<double>(number * kBlock) / static_cast<double>(stored);
}
BENCHMARK_CAPTURE(compress_block, audit_level_1, audit_blocks, 1);
BENCHMARK_CAPTURE(compress_block, audit_level_3, audit_blocks, 3);
BENCHMARK_CAPTURE(compress_block, random_level_1, random_blocks, 1);

void decompress_block(benchmark::State& state) {
  const std::string text = audit_blocks();
  std::vector<core::ByteVector> frames;
  for (std::size_t number = 0; number < kBlocks; ++number) {
    frames.push_back(core::compress_frame(block_of(text, number), 1));
  }
  std::size_t number = 0;
  for (auto _ : state) {
    auto block = core::decompress_frame(frames[number++ % kBlocks], kBlock);
    if (!block) state.SkipWithError(block.error().detail.c_str());
    benchmark::DoNotOptimize(block);
  }
  count_bytes(state, kBlock);
}
BENCHMARK(decompress_block);

void parse_head(benchmark::State& state) {
  const std::string head =
      "POST /v1/records HTTP/1.1\r\nHost: daybook.example.org:7080\r\nUser-Agent: shipper/1.9\r\n"
      "Content-Type: application/x-ndjson\r\nContent-Length: 4194304\r\nce-id: 8f93d205686032b8\r\n"
      "ce-source: /ledger/eu-central\r\nce-type: audit.batch\r\nAccept: */*\r\n"
      "Content-Digest: sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:\r\n\r\n";
  for (auto _ : state) {
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
  for (auto _ : state) {
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
