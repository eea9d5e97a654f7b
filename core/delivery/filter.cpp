#include "core/delivery/filter.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace daybook::core::delivery {
namespace {

constexpr std::string_view kAttribute = "attribute.";

struct Member {
  std::string_view name;
  const std::string Envelope::* text;
};
constexpr std::array kMembers = {
    Member{"tenant", &Envelope::tenant}, Member{"source", &Envelope::source},
    Member{"type", &Envelope::type}, Member{"subject", &Envelope::subject},
    Member{"content_type", &Envelope::content_type}};

const std::string* member_of(const Envelope& envelope, std::string_view name) {
  for (const Member& member : kMembers) {
    if (member.name == name) return &(envelope.*member.text);
  }
  return nullptr;
}

Failure refuse(const std::string& name) {
  if (name == "state") {
    return fail(Code::invalid_argument, Origin::self, Retry::never,
                "filter: a record passes through its states, and events chooses of which a "
                "subscriber is told: events = [\"archived\", \"final\"], for example, or "
                "[\"parked\"]");
  }
  std::array<std::string_view, kMembers.size()> names;
  std::ranges::transform(kMembers, names.begin(), &Member::name);
  const std::string near = nearest_word(name, names);
  return fail(Code::invalid_argument, Origin::self, Retry::never,
              "filter: '" + name + "' names nothing of a record. It may be tenant, source, type, " +
                  "subject, content_type or attribute.NAME." +
                  (near.empty() ? "" : " Did you mean " + near + "?"));
}

}  // namespace

Result<Filter> Filter::parse(const std::map<std::string, std::string>& terms) {
  Filter filter;
  for (const auto& [name, text] : terms) {
    Term term{.name = name, .text = text};
    if (name.starts_with(kAttribute) && name.size() > kAttribute.size()) {
      term.of_attribute = true;
      term.name.erase(0, kAttribute.size());
    } else if (member_of(Envelope{}, name) == nullptr) {
      return refuse(name);
    }
    if (term.text.ends_with('*')) {
      term.prefix = true;
      term.text.pop_back();
    }
    filter.terms_.push_back(std::move(term));
  }
  return filter;
}

bool Filter::matches(const Envelope& envelope) const {
  return std::ranges::all_of(terms_, [&envelope](const Term& term) {
    const std::string* text = nullptr;
    if (term.of_attribute) {
      const auto found = envelope.attributes.find(term.name);
      if (found == envelope.attributes.end()) return false;
      text = &found->second;
    } else {
      text = member_of(envelope, term.name);
    }
    return term.prefix ? text->starts_with(term.text) : *text == term.text;
  });
}

}  // namespace daybook::core::delivery
