// Records as JSON and queries as text: the forms the HTTP API shows. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "core/ports/metadata_store.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/result.hpp"

namespace daybook::api {

// Said once at start, before any record is shown: the word for the store that rows are in.
void name_row_store(std::string name);

// One record, and why a record is parked.
[[nodiscard]] boost::json::object record_object(const core::MetadataRow& row,
                                                std::string_view state);
[[nodiscard]] boost::json::object parked_object(const core::ParkedRecord& record);
void add_parked(boost::json::object& record, const core::ParkedRecord& parked);

// parked: details of a parked record, or null.
[[nodiscard]] std::string record_json(const core::MetadataRow& row, std::string_view state,
                                      const core::ParkedRecord* parked);
// next_cursor is the last id where a further page may follow.
[[nodiscard]] std::string page_json(const std::vector<core::MetadataRow>& rows,
                                    std::uint32_t limit);
// Of a parked record whose envelope cannot be read: what is known without it.
[[nodiscard]] std::string unreadable_json(const core::ParkedRecord& record);
[[nodiscard]] std::string dropped_json(const core::DroppedRecord& record);
[[nodiscard]] std::string parked_json(const std::vector<core::ParkedRecord>& records);

// ?since=&until=&source=&type=&subject=&state=&tenant=&limit=&cursor=; an error names the
// parameter.
[[nodiscard]] core::Result<core::MetadataQuery> parse_record_query(std::string_view query);

}  // namespace daybook::api
