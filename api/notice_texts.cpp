#include "api/notice_texts.hpp"

#include <boost/json/value.hpp>

#include "api/notice_data.hpp"

namespace daybook::api {
namespace {

// Of a text in the map and in its order.
constexpr std::size_t kOverhead = 256;

}  // namespace

std::shared_ptr<const std::string> NoticeTexts::of(const core::delivery::Delivery& delivery,
                                                   core::delivery::Event event) {
  const auto make = [&] {
    return std::make_shared<const std::string>(notice_data(delivery, event, nullptr));
  };
  // Numbers of parked records are of each subscriber's own.
  if (delivery.parked) return make();
  const Key key{delivery.number, event};
  const auto [at, fresh] = kept_.try_emplace(key);
  if (!fresh && at->second.id == delivery.id) return at->second.text;
  const auto text = make();
  if (!fresh) bytes_ -= at->second.text->capacity() + kOverhead;
  at->second = {delivery.id, text};
  if (fresh) order_.push_back(key);
  bytes_ += text->capacity() + kOverhead;
  while (bytes_ > bytes_max_) {
    const auto oldest = kept_.find(order_.front());
    bytes_ -= oldest->second.text->capacity() + kOverhead;
    kept_.erase(oldest);
    order_.pop_front();
  }
  return text;
}

}  // namespace daybook::api
