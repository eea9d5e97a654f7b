#include "storage/aws_signer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/text.hpp"

namespace daybook::storage {
namespace {

using core::Result;
using core::Task;

// A service says one of these when other keys, or the same ones renewed, would do. Keys that are
// rotated away become unknown ones.
constexpr std::string_view kStaleKeys[] = {
    "ExpiredToken",         "ExpiredTokenException",       "InvalidToken",
    "TokenRefreshRequired", "UnrecognizedClientException", "InvalidAccessKeyId",
    "InvalidClientTokenId", "SignatureDoesNotMatch"};

constexpr std::string_view kSkewedClock[] = {"RequestTimeTooSkewed", "RequestExpired",
                                             "RequestInTheFuture"};

// Services allow 5 (DynamoDB) to 15 minutes (S3). A refusal that does not say why is put down to
// the clock only where it is off by more than the smaller.
constexpr core::Duration kAllowedSkew = std::chrono::minutes(4);

// Less than this is no correction: Date has whole seconds, and the answer has travelled.
constexpr core::Duration kSameTime = std::chrono::seconds(30);

template <std::size_t count>
bool is_one_of(std::string_view word, const std::string_view (&words)[count]) {
  return std::ranges::find(words, word) != std::end(words);
}

}  // namespace

AwsSigner::AwsSigner(core::Runtime& runtime, std::shared_ptr<AwsCredentials> credentials,
                     std::function<void(core::Duration)> on_offset)
    : runtime_(runtime), credentials_(std::move(credentials)), on_offset_(std::move(on_offset)) {}

Task<Result<AwsSigner::Ready>> AwsSigner::ready(core::Deadline deadline) {
  auto keys = co_await credentials_->current(deadline);
  if (!keys) co_return pass(std::move(keys));
  co_return Ready{std::move(*keys),
                  runtime_.now() + std::chrono::duration_cast<core::WallTime::duration>(offset_)};
}

Task<bool> AwsSigner::mend(Ready used, int status, std::string_view code, std::string_view date,
                           core::Deadline deadline) {
  if (status < 400 && code.empty()) co_return false;
  if (is_one_of(code, kSkewedClock)) co_return correct_clock(used.time, date, true);
  // DynamoDB puts a skewed clock and a wrong key into one word, with 400.
  const bool unsaid =
      status == 403 ? code.empty() || code == "AccessDenied" : code == "InvalidSignatureException";
  if (unsaid && correct_clock(used.time, date, false)) co_return true;
  if (is_one_of(code, kStaleKeys)) {
    co_return co_await credentials_->replace(std::move(used.keys), deadline);
  }
  co_return false;
}

bool AwsSigner::correct_clock(core::WallTime used, std::string_view date, bool certain) {
  const auto theirs = core::parse_http_date(date);
  if (!theirs) return false;
  const core::Duration off = *theirs - used;
  if (std::chrono::abs(off) < (certain ? kSameTime : kAllowedSkew)) return false;
  const core::Duration before = std::exchange(offset_, *theirs - runtime_.now());
  // Requests that were under way together are refused together: one piece of news.
  if (on_offset_ && std::chrono::abs(offset_ - before) >= kSameTime) on_offset_(offset_);
  return true;
}

}  // namespace daybook::storage
