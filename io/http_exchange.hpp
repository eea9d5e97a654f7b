// One HTTP/1.1 request and its answer on one connection; a part of HttpClient. Reading and writing
// go on side by side: a server may refuse a body that is still being sent.
#pragma once

#include <string>

#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"
#include "io/http_client.hpp"
#include "io/runtime.hpp"
#include "io/stream.hpp"

namespace daybook::io {

struct ExchangeOutcome {
  core::Result<HttpResponse> response;
  bool answer_began = false;  // at least one byte of an answer came
  bool reusable = false;      // the connection is ready for another request
};

// head: the whole request head. request, stream and head must outlive the call. When it returns,
// nothing reads or writes on stream any more.
[[nodiscard]] core::Task<ExchangeOutcome> exchange(IoRuntime& runtime, Stream& stream,
                                                   const HttpRequest& request,
                                                   const std::string& head, core::Origin origin,
                                                   core::Deadline deadline);

}  // namespace daybook::io
