// WaitingLine: connections that wait for their clients, the longest-waiting first. A server that
// has no room ends those, so that silent and slow clients cannot keep others out.
//
// Two kinds: those whose client owes something (a whole head, the beginning of a body, the end of a
// refused one), and idle ones, which have been served and are between two requests. Those that owe
// go first. Entering and leaving cost the same however many wait. I/O thread only.
#pragma once

#include <boost/intrusive/list.hpp>

#include "core/units.hpp"

namespace daybook::io {

template <class Owner>
class WaitingLine {
  using Link = boost::intrusive::link_mode<boost::intrusive::auto_unlink>;

 public:
  enum class Kind { owing, idle };

  // A place in one line at most; leaves it when destroyed.
  class Member : public boost::intrusive::list_base_hook<Link> {
   public:
    explicit Member(Owner& owner) : owner_(owner) {}
    [[nodiscard]] bool waits() const { return this->is_linked(); }
    void leave() {
      if (waits()) this->unlink();
    }

   private:
    friend class WaitingLine;
    Owner& owner_;
    core::SteadyTime since_{};
  };

  // now is never earlier than in the call before.
  void enter(Member& member, Kind kind, core::SteadyTime now) {
    member.leave();
    member.since_ = now;
    (kind == Kind::owing ? owing_ : idle_).push_back(member);
  }

  // Who has waited longest, and since `latest` or before; null where nobody has.
  [[nodiscard]] Owner* longest(core::SteadyTime latest) {
    for (List* list : {&owing_, &idle_}) {
      if (!list->empty() && list->front().since_ <= latest) return &list->front().owner_;
    }
    return nullptr;
  }

  // The longest-waiting that owes and for which wanted(owner) is true; null where there is none.
  template <class Wanted>
  [[nodiscard]] Owner* find_owing(Wanted wanted) {
    for (Member& member : owing_) {
      if (wanted(member.owner_)) return &member.owner_;
    }
    return nullptr;
  }

 private:
  using List = boost::intrusive::list<Member, boost::intrusive::constant_time_size<false>>;
  List owing_;
  List idle_;
};

}  // namespace daybook::io
