// CommandBatch: RESP2 commands as one gathered message. Short arguments are copied into the batch;
// payload slices are referenced, never copied (hiredis would copy a command twice).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "core/units.hpp"

namespace daybook::core::resp {

class CommandBatch {
 public:
  // A command of short arguments.
  CommandBatch& add(std::initializer_list<std::string_view> arguments);
  CommandBatch& add(const std::vector<std::string>& arguments);
  // The same with one last argument made of slices, which must outlive the batch's use.
  CommandBatch& add(std::initializer_list<std::string_view> arguments, const Slices& last);

  // The commands of another batch; the bytes that its slices name must outlive this one's use, too.
  CommandBatch& add(const CommandBatch& other);

  [[nodiscard]] std::size_t commands() const { return commands_; }
  // Valid until the batch changes or ends.
  [[nodiscard]] Slices slices() const;

 private:
  void begin(std::size_t arguments);
  void argument(std::string_view text);

  struct Reference {
    std::size_t text_before;  // bytes of text_ that go out before this slice
    Bytes slice;
  };
  std::string text_;
  std::vector<Reference> references_;
  std::size_t commands_ = 0;
};

}  // namespace daybook::core::resp
