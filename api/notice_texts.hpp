// NoticeTexts: what notices say, made once for all subscribers that are told the same. The texts
// that were made last are kept, up to bytes_max together. I/O thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/delivery/notice.hpp"
#include "core/units.hpp"

namespace daybook::api {

// Beside those that are being sent.
inline constexpr std::size_t kNoticeTextsBytes = 2 * core::MiB;

class NoticeTexts {
 public:
  explicit NoticeTexts(std::size_t bytes_max = kNoticeTextsBytes) : bytes_max_(bytes_max) {}

  // notice_data() without a payload.
  std::shared_ptr<const std::string> of(const core::delivery::Delivery& delivery,
                                        core::delivery::Event event);

 private:
  // Numbers are of the feed; two feeds may have the same, for different records.
  using Key = std::pair<std::uint64_t, core::delivery::Event>;
  struct Kept {
    core::RecordId id;
    std::shared_ptr<const std::string> text;
  };

  const std::size_t bytes_max_;
  std::map<Key, Kept> kept_;
  std::deque<Key> order_;  // of them, the first that was made first
  std::size_t bytes_ = 0;
};

}  // namespace daybook::api
