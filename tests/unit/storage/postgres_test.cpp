// What needs no server: the URL's grammar, the meaning of errors, binary forms.
#include <gtest/gtest.h>

#include "storage/postgres_bytes.hpp"
#include "storage/postgres_errors.hpp"
#include "storage/postgres_settings.hpp"

namespace daybook::tests {
namespace {

using core::Code;
using core::Retry;

TEST(PostgresUrl, is_taken_apart) {
  const auto address = storage::parse_postgres_url(
      "postgresql://daybook@db1:5433,[2001:db8::1]:5434/"
      "audit?sslmode=verify-full&options=-c%20a%3Db");
  ASSERT_TRUE(address) << address.error().detail;
  ASSERT_EQ(address->hosts.size(), 2);
  EXPECT_EQ(address->hosts[0].host, "db1");
  EXPECT_EQ(address->hosts[0].port, "5433");
  EXPECT_EQ(address->hosts[1].host, "2001:db8::1");
  EXPECT_EQ(address->option("sslmode"), "verify-full");
  EXPECT_EQ(address->option("options"), "-c a=b");
  EXPECT_EQ(address->option("nothing"), "");
  EXPECT_EQ(address->str(), "daybook@db1:5433,[2001:db8::1]:5434/audit");
  EXPECT_FALSE(address->is_local());
}

TEST(PostgresUrl, knows_what_is_local) {
  for (const char* url :
       {"postgresql://127.0.0.1/x", "postgres://localhost:5432/x", "postgresql://[::1]/x",
        "postgresql:///x?host=/run/postgresql", "postgresql://%2Frun%2Fpostgresql/x"}) {
    const auto address = storage::parse_postgres_url(url);
    ASSERT_TRUE(address) << url << ": " << address.error().detail;
    EXPECT_TRUE(address->is_local()) << url;
  }
  for (const char* url : {"postgresql://127.example.org/x", "postgresql://localhost,db/x"}) {
    EXPECT_FALSE(storage::parse_postgres_url(url)->is_local()) << url;
  }
}

TEST(PostgresUrl, is_refused_without_repeating_a_secret) {
  for (const char* url :
       {"", "db:5432", "host=db dbname=x", "postgresql://", "postgresql:///x",
        "postgresql://u:s3cret@db/x", "postgresql://db/x?password=s3cret",
        "postgresql://db/x?sslpassword=s3cret", "postgresql://db/x?nothing=s3cret",
        "postgresql://db/%zzs3cret", "postgresql://a,b:1,c:2/x?port=1,2", "postgresql://a,/x",
        "postgresql://db/x?hostaddr=1.2.3.4", "postgresql://db/x?service=s"}) {
    const auto address = storage::parse_postgres_url(url);
    ASSERT_FALSE(address) << url;
    EXPECT_EQ(address.error().code, Code::invalid_argument);
    EXPECT_NE(address.error().detail.find("metadata.postgresql_url"), std::string::npos);
    EXPECT_EQ(address.error().detail.find("s3cret"), std::string::npos) << url;
  }
}

TEST(PostgresErrors, states_have_their_meaning) {
  struct Case {
    const char* state;
    Code code;
    Retry retry;
  };
  for (const Case& each : {Case{"28P01", Code::denied, Retry::safe},
                           Case{"28000", Code::denied, Retry::safe},
                           Case{"3D000", Code::misconfigured, Retry::safe},
                           Case{"42501", Code::denied, Retry::safe},
                           Case{"42P01", Code::misconfigured, Retry::safe},
                           Case{"25006", Code::unavailable, Retry::safe},
                           Case{"40001", Code::conflict, Retry::safe},
                           Case{"40P01", Code::conflict, Retry::safe},
                           Case{"40003", Code::unavailable, Retry::unknown_outcome},
                           Case{"53100", Code::out_of_space, Retry::safe},
                           Case{"53300", Code::unavailable, Retry::safe},
                           Case{"53200", Code::overloaded, Retry::safe},
                           Case{"57014", Code::timeout, Retry::safe},
                           Case{"57P01", Code::unavailable, Retry::unknown_outcome},
                           Case{"57P03", Code::unavailable, Retry::safe},
                           Case{"08006", Code::unavailable, Retry::unknown_outcome},
                           Case{"22021", Code::invalid_argument, Retry::never},
                           Case{"XX001", Code::damaged, Retry::safe},
                           Case{"99999", Code::unavailable, Retry::safe},
                           Case{"", Code::unavailable, Retry::safe}}) {
    const core::Error error = storage::classify_sqlstate(each.state, "it said so", "db:1/x");
    EXPECT_EQ(error.code, each.code) << each.state;
    EXPECT_EQ(error.retry, each.retry) << each.state;
    EXPECT_EQ(error.origin, core::Origin::metadata);
    EXPECT_TRUE(error.detail.starts_with("PostgreSQL at db:1/x: it said so.")) << error.detail;
  }
}

TEST(PostgresErrors, a_connection_that_did_not_come_about_says_why) {
  struct Case {
    const char* message;
    Code code;
    const char* word;
  };
  for (const Case& each :
       {Case{
            "connection to server at \"db\", port 1 failed: FATAL:  28P01: password authentication "
            "failed for user \"u\"\nLOCATION:  auth_failed, auth.c:334\n",
            Code::denied, "postgresql_password"},
        Case{"FATAL:  3D000: database \"x\" does not exist\nLOCATION:  InitPostgres\n",
             Code::misconfigured, "Make the database"},
        Case{"FATAL:  57P03: the database system is starting up\n", Code::unavailable, "starting"},
        Case{"connection failed: Connection refused\n\tIs the server running?\n", Code::unavailable,
             "Start it"},
        Case{"server certificate for \"a\" does not match host name \"b\"\n", Code::denied,
             "another name"},
        Case{"SSL error: certificate verify failed\n", Code::denied, "sslrootcert"},
        Case{"root certificate file \"/x\" does not exist\n", Code::misconfigured, "sslrootcert"},
        Case{"server does not support SSL, but SSL was required\n", Code::misconfigured,
             "ssl = on"},
        Case{"fe_sendauth: no password supplied\n", Code::denied, "POSTGRESQL_PASSWORD"}}) {
    const core::Error error = storage::classify_connecting(each.message, "db");
    EXPECT_EQ(error.code, each.code) << each.message;
    EXPECT_EQ(error.retry, Retry::safe) << each.message;
    EXPECT_NE(error.detail.find(each.word), std::string::npos) << error.detail;
    EXPECT_EQ(error.detail.find("LOCATION"), std::string::npos) << error.detail;
    EXPECT_EQ(error.detail.find('\n'), std::string::npos) << error.detail;
  }
}

TEST(PostgresBytes, numbers_and_times_come_back) {
  for (const std::int64_t number : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1},
                                    std::int64_t{5'000'000'000}, INT64_MAX, INT64_MIN}) {
    EXPECT_EQ(storage::from_network(storage::to_network(number)), number);
  }
  EXPECT_EQ(storage::to_network(258), std::string("\0\0\0\0\0\0\1\2", 8));
  EXPECT_EQ(storage::from_network(std::string_view("\xFF\xFF\xFF\xFE", 4)), -2);
  EXPECT_EQ(storage::time_bytes(storage::kPostgresEpoch), std::string(8, '\0'));
  const core::WallTime time(std::chrono::microseconds(-62'167'219'200'000'001));
  EXPECT_EQ(storage::time_of(storage::time_bytes(time)), time);
}

}  // namespace
}  // namespace daybook::tests
