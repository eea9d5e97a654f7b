#include "api/node.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/record_id.hpp"

namespace daybook::api {
namespace {

core::Failure refuse(const std::string& detail) {
  return core::fail(core::Code::misconfigured, core::Origin::self, core::Retry::never, detail);
}

core::Result<int> lock(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return refuse("cannot open " + path + ": " + std::strerror(errno));
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  ::close(file);
  return refuse("another daybook works in this data directory (" + path +
                " is locked). Stop it, or give this one its own node.data_dir.");
}

core::Result<std::string> read_or_make_id(const std::string& path) {
  std::string id;
  std::ifstream(path) >> id;
  if (!id.empty()) return id;
  const auto now =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  id = "node-" + core::RecordIdGenerator().next(now, 0).str();
  std::ofstream(path) << id << "\n";
  std::string written;
  std::ifstream(path) >> written;
  if (written != id) return refuse("cannot write " + path + "; check its permissions and disk.");
  return id;
}

}  // namespace

std::string_view to_string(Role role) {
  return role == Role::all ? "all" : role == Role::ingest ? "ingest" : "pipeline";
}

core::Result<Node> Node::open(const std::string& data_dir, Role role) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) return refuse("cannot make node.data_dir " + data_dir + ": " + error.message());
  Node node;
  if (role != Role::pipeline) {
    auto held = lock(data_dir + "/ingest.lock");
    if (!held) return pass(std::move(held));
    node.ingest_lock_ = *held;
  }
  if (role != Role::ingest) {
    auto held = lock(data_dir + "/pipeline.lock");
    if (!held) return pass(std::move(held));
    node.pipeline_lock_ = *held;
  }
  auto id = read_or_make_id(data_dir + "/node-id");
  if (!id) return pass(std::move(id));
  node.id_ = std::move(*id);
  return node;
}

Node::Node(Node&& other) noexcept
    : id_(std::move(other.id_)),
      ingest_lock_(std::exchange(other.ingest_lock_, -1)),
      pipeline_lock_(std::exchange(other.pipeline_lock_, -1)) {}

Node::~Node() {
  if (ingest_lock_ >= 0) ::close(ingest_lock_);
  if (pipeline_lock_ >= 0) ::close(pipeline_lock_);
}

}  // namespace daybook::api
