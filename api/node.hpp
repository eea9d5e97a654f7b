// Node: the identity and the lock of a data directory. Two processes of one role must not share a
// directory: they would be one consumer of the buffer and write one trail.
#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"

namespace daybook::api {

enum class Role { all, ingest, pipeline };
[[nodiscard]] std::string_view to_string(Role role);

class Node {
 public:
  // Makes data_dir where it is missing, takes the locks of the role, reads or makes the node's id.
  static core::Result<Node> open(const std::string& data_dir, Role role);
  ~Node();
  Node(Node&& other) noexcept;
  Node& operator=(Node&&) = delete;

  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  Node() = default;
  std::string id_;
  int ingest_lock_ = -1;
  int pipeline_lock_ = -1;
};

}  // namespace daybook::api
