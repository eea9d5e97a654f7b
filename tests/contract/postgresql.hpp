// One real PostgreSQL server for all cases of a test process: started by ops/servers/postgresql on
// a free loopback port with its data in a temporary folder when the first case asks for it, stopped
// when the process ends.
#pragma once

#include <atomic>
#include <map>
#include <string>

#include "storage/postgres_settings.hpp"
#include "tests/contract/radosgw.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::tests {

class Postgresql {
 public:
  static Postgresql& instance() {
    static Postgresql server;
    return server;
  }

  // Empty when it runs.
  [[nodiscard]] const std::string& skip_reason() const { return skip_reason_; }
  // HOST, PORT, USER, PASSWORD, DATABASE, URL, BIN, CA_FILE
  [[nodiscard]] const std::string& value(const std::string& name) const { return values_.at(name); }
  [[nodiscard]] static std::string script() {
    return std::string(DAYBOOK_SOURCE_DIR) + "/ops/servers/postgresql";
  }

  // What psql prints, without titles; nothing when it fails. It shares no code with ours.
  [[nodiscard]] std::optional<std::string> psql(const std::string& sql,
                                                const std::string& schema = "public") const {
    return output_of("PGPASSWORD=" + value("PASSWORD") + " PGOPTIONS=-csearch_path=" + schema +
                     " " + value("BIN") + "/psql -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p " +
                     value("PORT") + " -U daybook -d daybook -c \"" + sql + "\" 2>&1");
  }

  // An empty schema for a case: it costs less than a database.
  [[nodiscard]] std::string fresh_schema() const {
    static std::atomic<int> number = 0;
    const std::string name = "case" + std::to_string(++number);
    if (!psql("CREATE SCHEMA " + name)) std::abort();
    return name;
  }
  // options: more of the URL's, each with its '&'.
  [[nodiscard]] storage::PostgresSettings settings(const std::string& schema,
                                                   const std::string& options = "") const {
    storage::PostgresSettings made;
    made.address =
        storage::parse_postgres_url("postgresql://daybook@127.0.0.1:" + value("PORT") +
                                    "/daybook?options=-csearch_path%3D" + schema + options)
            .value();
    made.password = value("PASSWORD");
    return made;
  }

 private:
  Postgresql() {
    if (!output_of(script() + " check 2>/dev/null")) {
      skip_reason_ = "PostgreSQL is not installed; see " + script() + " --help";
      return;
    }
    const auto output = output_of(script() + " start --tls --data " + data());
    if (!output) {
      std::fprintf(stderr, "PostgreSQL is installed but did not start\n");
      std::abort();
    }
    std::size_t start = 0;
    for (std::size_t end = 0; (end = output->find('\n', start)) != std::string::npos;
         start = end + 1) {
      const std::string line = output->substr(start, end - start);
      const std::size_t equals = line.find('=');
      if (equals != std::string::npos) values_[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  ~Postgresql() {
    if (skip_reason_.empty()) output_of(script() + " stop --data " + data());
  }
  [[nodiscard]] std::string data() const { return folder_.path() / "postgresql"; }

  TemporaryFolder folder_;
  std::string skip_reason_;
  std::map<std::string, std::string> values_;
};

}  // namespace daybook::tests
