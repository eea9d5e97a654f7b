#include "core/resp/reply.hpp"

#include <algorithm>
#include <new>

#include <hiredis/read.h>

namespace daybook::core::resp {
namespace {

// hiredis calls these to build the tree, in the order of the bytes; every object is a Reply,
// children live inside their parent. An array grows as its elements come, so that a length that is
// claimed costs nothing: only finished elements move then, and hiredis keeps no pointer to those.
Reply* place(const redisReadTask* task) {
  if (task->parent == nullptr) return new (std::nothrow) Reply;
  auto* parent = static_cast<Reply*>(task->parent->obj);
  return &parent->elements.emplace_back();
}

void* make_string(const redisReadTask* task, char* text, std::size_t length) {
  Reply* reply = place(task);
  if (reply == nullptr) return nullptr;
  reply->type = task->type == REDIS_REPLY_ERROR    ? Reply::Type::error
                : task->type == REDIS_REPLY_STATUS ? Reply::Type::status
                                                   : Reply::Type::text;
  reply->text.assign(text, length);
  return reply;
}

// No answer to our commands comes near it.
constexpr int kElementsMax = 1'000'000;

void* make_array(const redisReadTask* task, int elements) {
  if (elements > kElementsMax) return nullptr;
  Reply* reply = place(task);
  if (reply == nullptr) return nullptr;
  reply->type = Reply::Type::array;
  reply->elements.reserve(static_cast<std::size_t>(std::clamp(elements, 0, 16)));
  return reply;
}

void* make_integer(const redisReadTask* task, long long value) {
  Reply* reply = place(task);
  if (reply == nullptr) return nullptr;
  reply->type = Reply::Type::integer;
  reply->integer = value;
  return reply;
}

void* make_nil(const redisReadTask* task) {
  return place(task);
}

void free_object(void* object) {
  delete static_cast<Reply*>(object);
}

redisReplyObjectFunctions kFunctions = {make_string, make_array, make_integer, make_nil,
                                        free_object};

struct ReaderFree {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};

Failure protocol_error(const redisReader* reader) {
  return fail(Code::unavailable, Origin::buffer, Retry::unknown_outcome,
              std::string("the answer is not RESP: ") + reader->errstr);
}

}  // namespace

struct ReplyReader::Impl {
  std::unique_ptr<redisReader, ReaderFree> reader{redisReaderCreateWithFunctions(&kFunctions)};
};

ReplyReader::ReplyReader() : impl_(std::make_unique<Impl>()) {}
ReplyReader::~ReplyReader() = default;

Result<void> ReplyReader::feed(Bytes bytes) {
  redisReader* reader = impl_->reader.get();
  if (redisReaderFeed(reader, reinterpret_cast<const char*>(bytes.data()), bytes.size()) !=
      REDIS_OK) {
    return protocol_error(reader);
  }
  return {};
}

Result<std::optional<Reply>> ReplyReader::next() {
  redisReader* reader = impl_->reader.get();
  void* object = nullptr;
  if (redisReaderGetReply(reader, &object) != REDIS_OK) return protocol_error(reader);
  if (object == nullptr) return std::optional<Reply>{};
  const std::unique_ptr<Reply> reply(static_cast<Reply*>(object));
  return std::optional<Reply>(std::move(*reply));
}

}  // namespace daybook::core::resp
