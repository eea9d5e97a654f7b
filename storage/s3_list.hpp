// The answer to ListObjectsV2, read strictly: what is not of S3's form is Code::damaged, because a
// list with a hole in it would make a check report records that are not lost. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::storage {

struct S3ListPage {
  struct Object {
    std::string key;
    std::uint64_t size = 0;
  };
  std::vector<Object> objects;     // in the order of the answer
  std::string continuation_token;  // empty: this was the last page
};

[[nodiscard]] core::Result<S3ListPage> parse_s3_list(core::Bytes document);

}  // namespace daybook::storage
