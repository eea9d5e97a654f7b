#include "core/transform/transform.hpp"

#include <algorithm>

#include "core/digest.hpp"
#include "core/text.hpp"
#include "core/transform/attributes.hpp"

namespace daybook::core::transform {
namespace {

Failure refuse(std::string detail) {
  return fail(Code::invalid_argument, Origin::self, Retry::never, std::move(detail));
}

// Something a step needs is not there.
Result<void> missing(const Step& step, const std::string& what) {
  if (step.missing == Missing::skip) return {};
  return refuse(what);
}

void put(const Step& step, Envelope& envelope, const std::string& name, std::string value) {
  if (!step.replace && attribute(envelope, name)) return;
  set_attribute(envelope, name, std::move(value));
}

Result<void> apply(const Step& step, const Add& add, Envelope& envelope) {
  put(step, envelope, add.to, add.value);
  return {};
}

Result<void> apply(const Step& step, const Rename& rename, Envelope& envelope) {
  auto value = attribute(envelope, rename.from);
  if (!value) return missing(step, "there is no attribute '" + rename.from + "' to rename");
  if (!step.replace && attribute(envelope, rename.to)) return {};
  set_attribute(envelope, rename.from, "");
  set_attribute(envelope, rename.to, *std::move(value));
  return {};
}

Result<void> apply(const Step& step, const Drop& drop, Envelope& envelope) {
  if (drop.pattern.contains('*')) {
    const auto gone = std::erase_if(
        envelope.attributes, [&](const auto& one) { return matches(drop.pattern, one.first); });
    if (gone == 0)
      return missing(step, "there is no attribute like '" + drop.pattern + "' to drop");
    return {};
  }
  if (!attribute(envelope, drop.pattern)) {
    return missing(step, "there is no attribute '" + drop.pattern + "' to drop");
  }
  set_attribute(envelope, drop.pattern, "");
  return {};
}

Result<void> apply(const Step& step, const Hash& hash, Envelope& envelope) {
  const auto value = attribute(envelope, hash.from);
  if (!value) return missing(step, "there is no attribute '" + hash.from + "' to hash");
  set_attribute(envelope, hash.to, hmac_sha256(as_bytes(hash.salt), as_bytes(*value)).hex());
  return {};
}

Result<void> apply(const Step& step, const Copy& copy,
                   const Result<std::optional<std::string>>& found, Envelope& envelope) {
  const std::string at = copy.pointer.str().empty() ? "the payload" : copy.pointer.str();
  if (!found) {
    // No JSON, or nothing that is a text: as good as not there. One that is too large is a fault.
    if (found.error().code != Code::too_large)
      return missing(step, at + ": " + found.error().detail);
    return refuse("copying " + at + ": " + found.error().detail);
  }
  if (!*found) return missing(step, "nothing is at " + at + " in the payload");
  put(step, envelope, copy.to, **found);
  return {};
}

Result<void> apply(const Step& step, const Lookup& lookup, const Rows& rows, Envelope& envelope) {
  const auto key = attribute(envelope, lookup.key);
  if (!key) return missing(step, "there is no attribute '" + lookup.key + "' to look up");
  const auto row = rows.find(*key);
  if (row == rows.end()) {
    return missing(step, "the lookup file has nothing for this '" + lookup.key + "'");
  }
  for (const auto& [name, value] : row->second) {
    const bool wanted =
        lookup.take.empty() || std::ranges::find(lookup.take, name) != lookup.take.end();
    if (wanted && name != lookup.key) put(step, envelope, name, value);
  }
  return {};
}

// How a record came in.
std::string property(const Envelope& envelope, const std::string& name) {
  if (name == "tenant") return envelope.tenant;
  if (name == "source") return envelope.source;
  if (name == "type") return envelope.type;
  const auto found = envelope.context.find(name);
  return found == envelope.context.end() ? std::string() : found->second;
}

bool fits(const Transform& transform, const Envelope& envelope) {
  return std::ranges::all_of(transform.when, [&](const auto& condition) {
    return matches(condition.second, property(envelope, condition.first));
  });
}

std::vector<JsonPointer> pointers_of(const std::vector<const Transform*>& transforms) {
  std::vector<JsonPointer> pointers;
  for (const Transform* transform : transforms) {
    for (const Step& step : transform->steps) {
      if (const auto* copy = std::get_if<Copy>(&step.what)) pointers.push_back(copy->pointer);
    }
  }
  return pointers;
}

Task<Result<void>> apply_http(const Http& http, Envelope& envelope) {
  auto answer =
      co_await http.transformer->call(attributes_json(envelope), envelope.id, envelope.tenant);
  if (!answer) co_return pass(std::move(answer));
  if (!*answer) co_return Result<void>{};
  co_return replace_attributes(envelope, **answer);
}

Task<Result<void>> apply_lookup(const Step& step, const Lookup& lookup, Envelope& envelope) {
  auto rows = co_await lookup.table->rows();
  if (!rows) co_return pass(std::move(rows));
  co_return apply(step, lookup, **rows, envelope);
}

}  // namespace

std::vector<const Transform*> Transforms::matching(const Envelope& envelope) const {
  std::vector<const Transform*> found;
  for (const Transform& transform : transforms_) {
    if (fits(transform, envelope)) found.push_back(&transform);
  }
  return found;
}

bool Transforms::concerns(const Envelope& envelope) const {
  return std::ranges::any_of(transforms_,
                             [&](const Transform& one) { return fits(one, envelope); });
}

Task<Result<Envelope>> Transforms::apply(Envelope envelope, ReadPayload read_payload) const {
  const auto chain = matching(envelope);
  const Envelope original = envelope;
  Result<PayloadValues> values;
  if (auto pointers = pointers_of(chain); !pointers.empty()) {
    values = co_await read_payload(std::move(pointers));
    if (!values) co_return pass(std::move(values));
  }
  std::string names;
  std::size_t copied = 0;
  for (const Transform* transform : chain) {
    names += (names.empty() ? "" : ",") + transform->name;
    for (std::size_t i = 0; i < transform->steps.size(); ++i) {
      const Step& step = transform->steps[i];
      Result<void> done;
      if (const auto* copy = std::get_if<Copy>(&step.what)) {
        done = transform::apply(step, *copy, values->at(copied++), envelope);
      } else if (const auto* lookup = std::get_if<Lookup>(&step.what)) {
        done = co_await apply_lookup(step, *lookup, envelope);
      } else if (const auto* http = std::get_if<Http>(&step.what)) {
        done = co_await apply_http(*http, envelope);
      } else {
        done = std::visit(
            [&](const auto& what) -> Result<void> {
              if constexpr (requires { transform::apply(step, what, envelope); }) {
                return transform::apply(step, what, envelope);
              } else {
                return {};
              }
            },
            step.what);
      }
      if (done) done = check_attributes(envelope);
      if (!done) {
        Error error = done.error();
        error.detail = "transform " + transform->name + ", step " + std::to_string(i + 1) + ": " +
                       error.detail;
        co_return Failure(std::move(error));
      }
    }
  }
  forget_key_of(original, envelope);
  envelope.context["transform"] = std::move(names);
  co_return envelope;
}

}  // namespace daybook::core::transform
