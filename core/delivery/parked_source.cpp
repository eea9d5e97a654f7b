#include "core/delivery/parked_source.hpp"

#include <algorithm>

namespace daybook::core::delivery {

Task<Result<std::uint64_t>> ParkedSource::begin(SubscriberRecord /*kept*/, std::uint64_t /*fence*/,
                                                Deadline deadline) {
  const auto told = co_await cursors_.told(name_, deadline);
  if (!told) co_return pass(told);
  // What this process has told and could not save yet has been told all the same.
  told_ = std::set<ToldParking>(told->begin(), told->end());
  told_.insert(to_tell_.begin(), to_tell_.end());
  in_hand_.clear();
  passed_.clear();
  to_forget_.clear();
  co_return std::uint64_t{0};
}

// What is known of a parked record. One that cannot be read is told of all the same.
Task<Delivery> ParkedSource::describe(ParkedRecord record, Deadline deadline) {
  Delivery delivery;
  delivery.id = record.entry.id;
  delivery.partition = record.entry.id.partition();
  delivery.published_at = record.parked_at;
  MetadataRow row;
  row.envelope.id = record.entry.id;
  row.state = "parked";
  const auto found = co_await buffer_.find(record.entry.id, deadline);
  bool matches = true;
  if (found && *found) {
    row.envelope = (*found)->head.envelope;
    row.stored_size = record.entry.stored_size;
    matches = filter_.matches(row.envelope);
  }
  delivery.row = std::make_shared<const MetadataRow>(std::move(row));
  if (matches) delivery.due = {Event::parked};
  delivery.parked = std::move(record);
  co_return delivery;
}

void ParkedSource::forget_others(const std::set<ToldParking>& parked) {
  std::erase_if(passed_, [&parked](const ToldParking& one) { return !parked.contains(one); });
  std::erase_if(told_, [&](const ToldParking& one) {
    if (parked.contains(one)) return false;
    to_forget_.push_back(one);
    return true;
  });
}

Task<Result<Source::Page>> ParkedSource::read(std::uint64_t after, std::size_t max,
                                              Deadline deadline) {
  auto records = co_await buffer_.parked(deadline);
  if (!records) co_return pass(std::move(records));
  std::ranges::sort(*records, {}, &ParkedRecord::parked_at);
  std::set<ToldParking> parked;
  Page page;
  untold_ = 0;
  for (ParkedRecord& record : *records) {
    const ToldParking parking{record.entry.id, record.parked_at};
    parked.insert(parking);
    if (told_.contains(parking) || passed_.contains(parking)) continue;
    ++untold_;
    if (in_hand_.contains(parking)) continue;
    if (page.deliveries.size() == max) {
      page.more = true;
      continue;
    }
    const auto us = static_cast<std::uint64_t>(
        std::max<WallTime::rep>(0, record.parked_at.time_since_epoch().count()));
    Delivery delivery = co_await describe(std::move(record), deadline);
    delivery.number = after = std::max(after + 1, us);
    (delivery.due.empty() ? passed_ : in_hand_).insert(parking);
    page.deliveries.push_back(std::move(delivery));
  }
  forget_others(parked);
  co_return page;
}

Task<Result<std::optional<Delivery>>> ParkedSource::recall(ParkedDelivery parked,
                                                           Deadline deadline) {
  auto record = co_await buffer_.find_parked(parked.id, deadline);
  if (!record) co_return pass(std::move(record));
  if (!*record || (*record)->parked_at != parked.parking) co_return std::optional<Delivery>{};
  Delivery delivery = co_await describe(std::move(**record), deadline);
  delivery.number = parked.number;
  delivery.due = {Event::parked};
  co_return delivery;
}

void ParkedSource::finished(const Delivery& delivery) {
  const ToldParking parking{delivery.id, delivery.parked->parked_at};
  in_hand_.erase(parking);
  if (told_.insert(parking).second) to_tell_.push_back(parking);
  untold_ -= std::min<std::uint64_t>(untold_, 1);
}

Task<Result<void>> ParkedSource::save(std::uint64_t fence, std::uint64_t /*cursor*/,
                                      Deadline deadline) {
  const std::vector<ToldParking> told = to_tell_;
  const std::vector<ToldParking> forgotten = to_forget_;
  auto done = co_await cursors_.tell(name_, fence, told, forgotten, deadline);
  if (!done) co_return done;
  to_tell_.erase(to_tell_.begin(), to_tell_.begin() + static_cast<std::ptrdiff_t>(told.size()));
  to_forget_.erase(to_forget_.begin(),
                   to_forget_.begin() + static_cast<std::ptrdiff_t>(forgotten.size()));
  co_return done;
}

}  // namespace daybook::core::delivery
