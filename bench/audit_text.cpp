// What makes a real audit log compressible is here too: fixed keys and phrases, a few dozen people
// with their sessions, a handful of actions. What makes it incompressible: event, trace and span
// ids, times, sizes.
#include "bench/audit_text.hpp"

#include <array>
#include <random>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace daybook::bench {
namespace {

struct Action {
  std::string_view name, kind, method, path;
};

constexpr std::array kActions{
    Action{"document.read", "document", "GET", "/v2/documents/"},
    Action{"document.update", "document", "PATCH", "/v2/documents/"},
    Action{"invoice.approve", "invoice", "POST", "/v2/invoices/"},
    Action{"payment.release", "payment", "POST", "/v2/payments/"},
    Action{"report.export", "report", "POST", "/v2/reports/"},
    Action{"role.assign", "role", "PUT", "/v2/roles/"},
};
constexpr std::array<std::string_view, 5> kSources{"billing-api", "document-vault", "identity",
                                                   "ledger-core", "reporting"};
constexpr std::array<std::string_view, 4> kRegions{"eu-central", "eu-north", "us-east", "ap-south"};
constexpr std::array<std::string_view, 3> kAgents{
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "ledger-sync/3.11.0 (batch; retries=5) http-client/2.4"};
constexpr std::array<std::string_view, 3> kPolicies{"least-privilege-finance", "four-eyes-payments",
                                                    "read-own-region"};
constexpr unsigned kPeople = 120;

class Writer {
 public:
  explicit Writer(std::uint64_t seed) : random_(seed) {
    for (unsigned person = 0; person < kPeople; ++person) {
      people_.push_back(fmt::format(
          R"({{"type":"user","id":"u-{0}","email":"user.{0}@example.org","groups":["finance","staff"],)"
          R"("session":"{1:016x}{2:016x}","mfa":true}},"client":{{"ip":"10.{3}.{4}.{5}","agent":"{6}")",
          10'000 + person, random_(), random_(), below(8), below(256), below(256), pick(kAgents)));
    }
  }

  void add_event(std::string& out) {
    micros_ += 1 + below(80'000);
    ++sequence_;
    const Action& action = pick(kActions);
    const std::string_view region = pick(kRegions);
    const bool denied = below(25) == 0;
    const auto object = below(40'000);
    const std::uint64_t second = micros_ / 1'000'000;
    auto to = std::back_inserter(out);
    fmt::format_to(
        to,
        R"({{"schema":"audit/v3","time":"2026-03-{:02}T{:02}:{:02}:{:02}.{:06}Z",)"
        R"("event_id":"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}","source":"{}",)"
        R"("category":"authorization","action":"{}","outcome":"{}","actor":{},"request_id":"{:016x}"}},)",
        2 + second / 86'400 % 28, second / 3600 % 24, second / 60 % 60, second % 60,
        micros_ % 1'000'000, random_() >> 32, random_() >> 48, random_() >> 52, random_() >> 52,
        random_() >> 16, pick(kSources), action.name, denied ? "denied" : "success", pick(people_),
        random_());
    fmt::format_to(
        to,
        R"("resource":{{"kind":"{0}","id":"{0}-{1:06}","region":"{2}","classification":"internal",)"
        R"("retention":"P7Y","owner":"u-{3}"}},"request":{{"method":"{4}","path":"{5}{0}-{1:06}",)"
        R"("protocol":"HTTP/1.1","bytes":{6},"parameters":{{"expand":["links","history"],)"
        R"("locale":"en-GB","dry_run":false}}}},)",
        action.kind, object, region, 10'000 + below(kPeople), action.method, action.path,
        below(4000));
    fmt::format_to(
        to,
        R"("response":{{"status":{},"bytes":{},"duration_us":{}}},"decision":{{"effect":"{}",)"
        R"("policy":"{}","policy_version":"2026-02-11.{}","engine":"policy-engine/5.2.1",)"
        R"("rules_evaluated":{},"obligations":["log","notify-owner"]}},)",
        denied ? 403 : 200, 300 + below(90'000), 900 + below(20'000), denied ? "deny" : "allow",
        pick(kPolicies), below(3), 3 + below(17));
    fmt::format_to(to,
                   R"("trace":{{"trace_id":"{:016x}{:016x}","span_id":"{:016x}","sampled":true}},)"
                   R"("host":{{"name":"app-{:02}.{}.example.org","pod":"api-7d9c5b-{:02}",)"
                   R"("version":"2026.2.{}"}},"integrity":{{"chain":"sha256","sequence":{}}}}})"
                   "\n",
                   random_(), random_(), random_(), below(12), region, below(12), below(3),
                   sequence_);
  }

 private:
  // The slight bias of a remainder does no harm here, and unlike the standard distributions its
  // result is the same with every library.
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  template <class Container>
  const typename Container::value_type& pick(const Container& container) {
    return container[below(container.size())];
  }

  std::mt19937_64 random_;
  std::vector<std::string> people_;
  std::uint64_t micros_ = 9ULL * 3600 * 1'000'000;
  std::uint64_t sequence_ = 480'000;
};

}  // namespace

std::string make_audit_text(std::uint64_t bytes, std::uint64_t seed) {
  Writer writer(seed);
  std::string text;
  text.reserve(bytes + 4096);
  while (text.size() < bytes) writer.add_event(text);
  text.resize(bytes);
  return text;
}

}  // namespace daybook::bench
