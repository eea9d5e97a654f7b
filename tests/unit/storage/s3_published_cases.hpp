// The canned answers of DAYBOOK_SHARED/suites/s3-client-faults (awslabs/aws-c-s3), read when a test
// runs: a folder for each operation, a file for each answer.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <boost/json.hpp>

namespace daybook::tests {

struct PublishedCase {
  std::string operation;  // "UploadPart"
  std::string name;       // "UploadPart/throttle.json"
  int status = 0;
  std::string fields;  // lines with their CRLF, without Content-Length
  std::string body;
  bool silent = false;  // answers after the deadline
};

// data_to_send and range replace the suite's placeholders.
inline PublishedCase read_published_case(const std::filesystem::path& path,
                                         const std::string& data_to_send,
                                         const std::string& range) {
  PublishedCase one;
  one.operation = path.parent_path().filename();
  one.name = path.parent_path().filename() / path.filename();
  std::ifstream file(path, std::ios::binary);
  const auto json =
      boost::json::parse(std::string(std::istreambuf_iterator<char>(file), {})).as_object();
  one.status = static_cast<int>(json.at("status").as_int64());
  one.silent = json.contains("delay") && json.at("delay").as_int64() >= 30;
  for (const auto& [name, value] : json.at("headers").as_object()) {
    if (name == "Content-Length") continue;
    std::string text(value.as_string());
    if (const auto at = text.find("<request-range>"); at != std::string::npos) {
      text.replace(at, 15, range);
    }
    one.fields += std::string(name) + ": " + text + "\r\n";
  }
  if (!json.contains("body")) return one;
  for (const auto& line : json.at("body").as_array()) {
    std::string text(line.as_string());
    if (text == "<data-to-send>") text = data_to_send;
    if (!one.body.empty()) one.body += "\n";
    one.body += text;
  }
  return one;
}

// Empty where the suite is not there.
inline std::vector<PublishedCase> published_cases(const std::string& data_to_send,
                                                  const std::string& range) {
  namespace fs = std::filesystem;
  const char* shared = std::getenv("DAYBOOK_SHARED");
  const fs::path root = fs::path(shared ? shared : DAYBOOK_SOURCE_DIR "/../shared") /
                        "suites/s3-client-faults/tests/mock_s3_server";
  std::vector<PublishedCase> cases;
  if (!fs::is_directory(root)) return cases;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".json") continue;
    cases.push_back(read_published_case(entry.path(), data_to_send, range));
  }
  return cases;
}

}  // namespace daybook::tests
