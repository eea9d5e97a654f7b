#include "bench/roofline/sender.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

#include "bench/roofline/clock.hpp"
#include "bench/roofline/sockets.hpp"
#include "core/check.hpp"
#include "core/digest.hpp"

namespace daybook::bench::roofline {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kWarmBytesMax = core::MiB;
constexpr std::size_t kEvents = 64;

struct Lane {
  Descriptor socket;
  core::Bytes body;
  std::string_view digest;  // that the answer must have
  std::array<std::byte, kLengthBytes> length{};
  std::size_t sent = 0;  // of length and body together
  std::array<std::byte, kAnswerBytes> answer{};
  std::size_t answered = 0;
};

class Sender {
 public:
  Sender(const PayloadSource& payloads, double seconds, bool hashes, int report)
      : payloads_(payloads),
        seconds_(seconds),
        hashes_(hashes),
        report_(report),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    const core::ByteVector& first = payloads.at(0).bytes;
    warm_body_ = core::Bytes(first).first(std::min(first.size(), kWarmBytesMax));
    warm_digest_ = core::sha256(warm_body_).hex();
  }

  SenderCount run(std::uint16_t port, std::size_t connections) {
    lanes_.resize(connections);
    for (Lane& lane : lanes_) {
      lane.socket = connect_to(port);
      make_nonblocking(lane.socket);
      epoll_event event{EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = &lane}};
      CHECK(::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, lane.socket.number(), &event) == 0);
      start(lane, warm_body_, warm_digest_);
    }
    serve_until_idle();
    CHECK(::write(report_, &kClockStarted, 1) == 1);
    const double cpu_before = cpu_seconds();
    begin_ = Clock::now();
    measuring_ = true;
    for (Lane& lane : lanes_) start_next(lane);
    serve_until_idle();
    count_.seconds = seconds_since(begin_);
    count_.cpu = cpu_seconds() - cpu_before;
    return count_;
  }

 private:
  void start(Lane& lane, core::Bytes body, std::string_view digest) {
    const std::uint64_t bytes = body.size();
    std::memcpy(lane.length.data(), &bytes, kLengthBytes);
    lane.body = body;
    lane.digest = digest;
    lane.sent = lane.answered = 0;
    ++busy_;
    send(lane);
  }

  void start_next(Lane& lane) {
    if (seconds_since(begin_) >= seconds_) return;
    const Payload& payload = payloads_.at(next_++);
    start(lane, payload.bytes, payload.sha256_hex);
  }

  void send(Lane& lane) {
    while (lane.sent < kLengthBytes + lane.body.size()) {
      const bool head = lane.sent < kLengthBytes;
      const core::Bytes rest = head ? core::Bytes(lane.length).subspan(lane.sent)
                                    : lane.body.subspan(lane.sent - kLengthBytes);
      const auto taken = send_some(lane.socket, rest, head);
      if (!taken) return;
      lane.sent += *taken;
    }
  }

  void serve_until_idle() {
    std::array<epoll_event, kEvents> events{};
    while (busy_ > 0) {
      const int ready = ::epoll_wait(epoll_.number(), events.data(), kEvents, -1);
      for (int number = 0; number < ready; ++number) {
        const epoll_event& event = events[number];
        Lane& lane = *static_cast<Lane*>(event.data.ptr);
        if ((event.events & EPOLLOUT) != 0) send(lane);
        if ((event.events & ~EPOLLOUT) != 0) receive(lane);
      }
    }
  }

  void receive(Lane& lane) {
    while (lane.answered < kAnswerBytes) {
      const auto got =
          receive_some(lane.socket, core::MutableBytes(lane.answer).subspan(lane.answered));
      if (!got) return;
      if (*got == 0) {  // the server ended the connection
        ++count_.wrong;
        --busy_;
        lane = Lane();
        return;
      }
      lane.answered += *got;
    }
    --busy_;
    const std::string_view line = core::as_text(lane.answer);
    if (line != answer_line(hashes_ ? lane.digest : std::string_view())) ++count_.wrong;
    if (!measuring_) return;
    count_.bytes += lane.body.size();
    ++count_.bodies;
    start_next(lane);
  }

  const PayloadSource& payloads_;
  const double seconds_;
  const bool hashes_;
  const int report_;
  const Descriptor epoll_;
  core::Bytes warm_body_;
  std::string warm_digest_;
  std::vector<Lane> lanes_;
  Clock::time_point begin_;
  bool measuring_ = false;
  std::uint64_t next_ = 0;
  std::size_t busy_ = 0;
  SenderCount count_;
};

}  // namespace

void send_payloads(const PayloadSource& payloads, std::uint16_t port, std::size_t connections,
                   double seconds, bool hashes, int report) {
  Sender sender(payloads, seconds, hashes, report);
  const SenderCount count = sender.run(port, connections);
  CHECK(::write(report, &count, sizeof count) == sizeof count);
}

}  // namespace daybook::bench::roofline
