#include "storage/postgres_errors.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace daybook::storage {
namespace {

using core::Code;
using core::Error;
using core::Origin;
using core::Retry;

struct Meaning {
  std::string_view sqlstate;  // or its class, the first two characters
  Code code;
  Retry retry;
  std::string_view mend;
};

// The first that fits: states before their classes.
constexpr Meaning kMeanings[] = {
    {"28P01", Code::denied, Retry::safe,
     "Check the user in metadata.postgresql_url and metadata.postgresql_password."},
    {"28", Code::denied, Retry::safe,
     "Check the user in metadata.postgresql_url, metadata.postgresql_password and the server's "
     "pg_hba.conf."},
    {"3D000", Code::misconfigured, Retry::safe,
     "Make the database, or name another one in metadata.postgresql_url."},
    {"42501", Code::denied, Retry::safe,
     "Grant the user SELECT and INSERT on daybook_records and daybook_feed, SELECT and UPDATE on "
     "daybook_clock_skew and daybook_feed_head, and SELECT on daybook_schema_versions; migrating "
     "needs CREATE on the schema."},
    {"42P01", Code::misconfigured, Retry::safe, "Make the tables with: daybook metadata migrate."},
    {"42703", Code::misconfigured, Retry::safe,
     "The table has another shape than Daybook's; look at it with: daybook metadata status."},
    {"42804", Code::misconfigured, Retry::safe,
     "The table has another shape than Daybook's; look at it with: daybook metadata status."},
    {"42P10", Code::misconfigured, Retry::safe,
     "daybook_records has lost its primary key on id; give it back."},
    {"23", Code::misconfigured, Retry::safe,
     "The table has a constraint that is not Daybook's; remove it."},
    {"3F000", Code::misconfigured, Retry::safe,
     "The search_path names no schema in which tables can be made."},
    {"26", Code::unavailable, Retry::safe,
     "A pooler in between forgets prepared statements: let it pool sessions, or give PgBouncer "
     "(1.21 or later) max_prepared_statements."},
    {"25006", Code::unavailable, Retry::safe,
     "The server is a standby or read-only. Name the primary, or add "
     "target_session_attrs=read-write to metadata.postgresql_url."},
    {"53300", Code::unavailable, Retry::safe,
     "Raise the server's max_connections or lower metadata.postgresql_connections."},
    {"53100", Code::out_of_space, Retry::safe, "Free space on the server's disk."},
    {"53", Code::overloaded, Retry::safe, "The server is short of resources."},
    {"57014", Code::timeout, Retry::safe,
     "The statement ran into metadata.postgresql_statement_timeout or was cancelled."},
    {"57P03", Code::unavailable, Retry::safe, "The server is starting up or shutting down."},
    {"57P", Code::unavailable, Retry::unknown_outcome, "The server ended the connection."},
    {"08", Code::unavailable, Retry::unknown_outcome, "The connection failed."},
    {"40003", Code::unavailable, Retry::unknown_outcome, "It may have been committed."},
    {"40", Code::conflict, Retry::safe, "Other transactions were in the way."},
    {"55", Code::unavailable, Retry::safe, "Somebody else holds a lock on it."},
    {"22", Code::invalid_argument, Retry::never,
     "The row has a value that the database cannot hold."},
    {"54", Code::invalid_argument, Retry::never,
     "The row has a value that the database cannot hold."},
    {"58", Code::unavailable, Retry::unknown_outcome, "The server has trouble with its disk."},
    {"XX001", Code::damaged, Retry::safe, "The database is damaged; restore it from a backup."},
    {"XX002", Code::damaged, Retry::safe, "An index is damaged; REINDEX it."},
};

struct Words {
  std::string_view part;
  Code code;
  std::string_view mend;
};

// libpq's own complaints, which have no SQLSTATE.
constexpr Words kWords[] = {
    {"does not match host name", Code::denied,
     "The certificate is for another name: use the name it was made for in "
     "metadata.postgresql_url, or give the server a certificate for this one."},
    {"root certificate file", Code::misconfigured,
     "Name the certificate authority's file in metadata.postgresql_url: sslrootcert=/PATH."},
    {"certificate", Code::denied,
     "The certificate is not trusted: name its authority in metadata.postgresql_url "
     "(sslrootcert=/PATH)."},
    {"does not support SSL", Code::misconfigured,
     "Switch TLS on at the server (ssl = on), or lower sslmode in metadata.postgresql_url."},
    {"no password supplied", Code::denied,
     "Set DAYBOOK_METADATA_POSTGRESQL_PASSWORD or metadata.postgresql_password_file."},
    {"read-only", Code::unavailable,
     "Every server named is a standby or read-only; name the primary."},
    {"read-write", Code::unavailable,
     "Every server named is a standby or read-only; name the primary."},
};

// One line, without where in the server's sources it happened.
std::string plain(std::string_view message) {
  std::string text(message.substr(0, message.find("\nLOCATION:")));
  std::string line;
  for (const char c : text) {
    const bool space = c == '\n' || c == '\t' || c == ' ';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '.')) line.pop_back();
  return line;
}

std::string sentence(std::string_view server, std::string_view message, std::string_view mend) {
  std::string text = "PostgreSQL at " + std::string(server) + ": " + plain(message);
  if (!text.ends_with('?')) text += ".";
  if (!mend.empty()) text += " " + std::string(mend);
  return text;
}

// "FATAL:  28P01: password …": the five characters between two colons; every state has a digit.
std::string_view sqlstate_of(std::string_view message) {
  for (std::size_t at = message.find(':'); at != std::string_view::npos;
       at = message.find(':', at + 1)) {
    std::size_t start = at + 1;
    while (start < message.size() && message[start] == ' ') ++start;
    const std::string_view state = message.substr(start, 5);
    const bool has_digit = state.find_first_of("0123456789") != std::string_view::npos;
    if (state.size() == 5 && has_digit && message.substr(start + 5, 1) == ":" &&
        std::ranges::all_of(state, [](unsigned char c) {
          return std::isdigit(c) != 0 || (c >= 'A' && c <= 'Z');
        })) {
      return state;
    }
  }
  return {};
}

}  // namespace

Error classify_sqlstate(std::string_view sqlstate, std::string_view message,
                        std::string_view server) {
  for (const Meaning& meaning : kMeanings) {
    if (!sqlstate.starts_with(meaning.sqlstate)) continue;
    return {meaning.code, Origin::metadata, meaning.retry, sentence(server, message, meaning.mend)};
  }
  return {Code::unavailable, Origin::metadata, Retry::safe, sentence(server, message, "")};
}

Error classify_connecting(std::string_view message, std::string_view server) {
  // Nothing but the greeting was said: it may always be said again.
  if (const auto state = sqlstate_of(message); !state.empty()) {
    Error error = classify_sqlstate(state, message, server);
    error.retry = Retry::safe;
    return error;
  }
  for (const Words& words : kWords) {
    if (message.find(words.part) == std::string_view::npos) continue;
    return {words.code, Origin::metadata, Retry::safe, sentence(server, message, words.mend)};
  }
  return {Code::unavailable, Origin::metadata, Retry::safe,
          sentence(server, message, "Start it, or mend metadata.postgresql_url.")};
}

Error connection_lost(std::string_view message, std::string_view server) {
  return {Code::closed, Origin::metadata, Retry::unknown_outcome, sentence(server, message, "")};
}

}  // namespace daybook::storage
