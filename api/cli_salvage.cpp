#include "api/cli_salvage.hpp"

#include <iostream>

#include <unistd.h>

#include "api/cli_output.hpp"
#include "api/cli_post.hpp"
#include "api/salvage.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;
using core::RecordId;

int failure(const std::string& command, const std::string& what) {
  print_error("daybook " + command + ": " + printable(what) + "\n");
  return kExitFailed;
}

int usage_error(const std::string& command, const std::string& what) {
  print_error("daybook " + command + ": " + what + "\n");
  return kExitUsage;
}

// Why a document was refused; empty = it is a payload that failed to be stored.
std::string refused_for(const core::Envelope& envelope) {
  const auto why = envelope.context.find("refused");
  return why == envelope.context.end() ? "" : why->second;
}

// What is known of one; `damaged` says why where its bytes are not to be trusted.
json::object describe(const SalvageFolder& folder, const RecordId& id) {
  json::object about = {{"id", id.str()}, {"stored_size", folder.stored_size(id)}};
  const auto payload = folder.open(id);
  if (!payload) {
    about["damaged"] = payload.error().detail;
    return about;
  }
  const core::Envelope& envelope = payload->envelope;
  if (const std::string why = refused_for(envelope); !why.empty()) about["refused"] = why;
  about["received_at"] = core::format_time(envelope.received_at);
  about["size"] = envelope.size;
  about["sha256"] = envelope.sha256.hex();
  const auto add = [&about](std::string_view name, const std::string& value) {
    if (!value.empty()) about[name] = value;
  };
  add("tenant", envelope.tenant);
  add("content_type", envelope.content_type);
  add("type", envelope.type);
  add("source", envelope.source);
  add("event_id", envelope.event_id);
  add("subject", envelope.subject);
  if (envelope.event_time) add("event_time", core::format_time(*envelope.event_time));
  add("idempotency_key", envelope.idempotency_key);
  if (const auto why = envelope.context.find("reason"); why != envelope.context.end()) {
    add("reason", why->second);
  }
  if (!envelope.attributes.empty()) {
    json::object attributes;
    for (const auto& [name, value] : envelope.attributes) attributes[name] = value;
    about["attributes"] = std::move(attributes);
  }
  return about;
}

int list_salvaged(const SalvageFolder& folder, const SalvageOptions& options) {
  auto ids = folder.list();
  if (!ids) return failure("salvage", ids.error().detail);
  const auto refused = folder.list_refused();
  if (!refused) return failure("salvage", refused.error().detail);
  const std::size_t failed = ids->size();
  ids->insert(ids->end(), refused->begin(), refused->end());
  Table table({{"RECEIVED"},
               {"ID"},
               {"ANSWER"},
               {"SIZE", true},
               {"TYPE", false, true},
               {"SOURCE", false, true},
               {"KEY", false, true}});
  bool damaged = false;
  for (const RecordId& id : *ids) {
    const json::value about = describe(folder, id);
    if (options.json) {
      print(json::serialize(about) + "\n");
      continue;
    }
    const bool broken = member(about, "damaged") != nullptr;
    damaged |= broken;
    table.add({broken ? "damaged" : text_of(about, "received_at").substr(0, 19) + "Z", id.str(),
               member(about, "refused") != nullptr ? "400" : "503",
               human_bytes(count_of(about, broken ? "stored_size" : "size")),
               text_of(about, "type"), text_of(about, "source"),
               text_of(about, "idempotency_key")});
  }
  if (options.json) return kExitOk;
  if (table.empty()) {
    print_error("Nothing is salvaged in " + printable(folder.path()) + ".\n");
    return kExitOk;
  }
  print(table.render(is_terminal(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) : 0));
  if (failed != 0) {
    print_error(
        "Senders that got 503 may have sent them again. Where they did not:\n"
        "  daybook salvage post ID...   or   daybook salvage post --all\n");
  }
  if (!refused->empty()) {
    print_error(
        "Those with 400 are documents that were refused for what is in them: daybook salvage show "
        "ID\nsays why, and where the bytes are. They go by themselves when they become too "
        "many.\n");
  }
  if (damaged) print_error("daybook salvage show ID says what is wrong with a damaged one.\n");
  return kExitOk;
}

std::string describe_lines(const json::object& about) {
  std::string text;
  for (const auto& pair : about) {
    if (const json::object* inner = pair.value().if_object()) {
      text += describe_lines(*inner);
      continue;
    }
    std::string name = printable(std::string_view(pair.key().data(), pair.key().size()));
    name.resize(std::max<std::size_t>(18, name.size() + 2), ' ');
    const json::value& value = pair.value();
    text += name +
            (value.is_string() ? printable(std::string_view(value.get_string()))
                               : json::serialize(value)) +
            "\n";
  }
  return text;
}

int show_salvaged(const SalvageFolder& folder, const SalvageOptions& options, const RecordId& id) {
  if (folder.stored_size(id) == 0) {
    return failure("salvage show", "There is no " + id.str() + " in " + folder.path() + ".");
  }
  json::object about = describe(folder, id);
  about["file"] = folder.file_of(id);
  print(options.json ? json::serialize(about) + "\n" : describe_lines(about));
  return about.contains("damaged") ? kExitFailed : kExitOk;
}

// Empty = it is acknowledged and taken out of the folder; otherwise why not.
std::string post_one(const SalvageFolder& folder, const SalvageOptions& options,
                     const RecordId& id) {
  const auto salvaged = folder.open(id);
  if (!salvaged) return salvaged.error().detail;
  const core::Envelope& envelope = salvaged->envelope;
  if (const std::string why = refused_for(envelope); !why.empty()) {
    return "it would be refused again: " + why + " Mend its bytes (zstd -dc " + folder.file_of(id) +
           " prints them) and send that to /ingestMessage.";
  }
  const auto payload = payload_of(*salvaged);
  if (!payload) return payload.error().detail;
  io::HttpRequest request;
  request.method = "POST";
  request.target = "/v1/records";
  request.fields = salvage_fields(envelope);
  request.body.emplace_back(*payload);
  const auto response = send_request(options.server, std::move(request));
  if (!response) return response.error().detail;
  if (response->head.status != 200 && response->head.status != 201) {
    return describe_refusal(*response);
  }
  auto receipt = parse_json(response->body);
  if (!receipt) return receipt.error().detail;
  if (std::string why = distrust(*receipt, envelope.sha256, envelope.size); !why.empty()) {
    return why;
  }
  const std::string record = text_of(*receipt, "id");
  const auto gone =
      folder.take_out(id, "posted", {{"record", record}, {"sha256", envelope.sha256.hex()}});
  if (!gone) return "It is stored as " + record + ", but " + gone.error().detail;
  if (options.json) {
    receipt->as_object()["salvaged"] = id.str();
    print(json::serialize(*receipt) + "\n");
  } else {
    print(std::string(response->head.status == 201 ? "stored  " : "known   ") + id.str() + " as " +
          printable(record) + "\n");
  }
  return {};
}

int post_salvaged(const SalvageFolder& folder, const SalvageOptions& options,
                  std::vector<RecordId> ids) {
  if (options.all) {
    auto all = folder.list();
    if (!all) return failure("salvage post", all.error().detail);
    ids = std::move(*all);
  }
  int status = kExitOk;
  for (const RecordId& id : ids) {
    if (const std::string why = post_one(folder, options, id); !why.empty()) {
      print_error("failed  " + id.str() + ": " + printable(why) + "\n");
      status = kExitFailed;
    }
  }
  return status;
}

// Asks on a terminal; elsewhere --yes must have been given.
bool confirmed(const SalvageOptions& options, const json::object& about) {
  if (options.yes) return true;
  if (!is_terminal(STDIN_FILENO)) {
    print_error("daybook salvage drop: nobody can be asked here; add --yes.\n");
    return false;
  }
  print_error(describe_lines(about) +
              "\nIts bytes will be destroyed; the reason is kept. Drop it? [y/N] ");
  std::string line;
  std::getline(std::cin, line);
  return line == "y" || line == "yes";
}

int drop_salvaged(const SalvageFolder& folder, const SalvageOptions& options, const RecordId& id) {
  if (folder.stored_size(id) == 0) {
    return failure("salvage drop", "There is no " + id.str() + " in " + folder.path() + ".");
  }
  const json::object about = describe(folder, id);
  if (!confirmed(options, about)) return failure("salvage drop", "nothing was dropped.");
  const auto gone = folder.take_out(
      id, "dropped",
      {{"reason", std::string(core::trim(options.reason))}, {"sha256", text_of(about, "sha256")}});
  if (!gone) return failure("salvage drop", gone.error().detail);
  print(options.json ? json::serialize(json::object{{"dropped", id.str()}}) + "\n"
                     : "dropped " + id.str() + "; " + printable(folder.path()) +
                           "/log.jsonl has the account.\n");
  return kExitOk;
}

}  // namespace

int run_salvage(const SalvageOptions& options) {
  using Action = SalvageOptions::Action;
  std::vector<RecordId> ids;
  for (const std::string& text : options.ids) {
    const auto id = RecordId::parse(text);
    if (!id) {
      return usage_error("salvage", printable(text) +
                                        " is not an id; daybook salvage list shows "
                                        "them.");
    }
    ids.push_back(*id);
  }
  if (options.action == Action::post && options.ids.empty() != options.all) {
    return usage_error("salvage post", "name ids, or --all, but not both.");
  }
  if (options.action == Action::drop && core::trim(options.reason).empty()) {
    return usage_error("salvage drop", "say why: --reason TEXT. It is kept.");
  }
  if (options.action == Action::post && !client_settings(options.server.url)) {
    return usage_error("salvage post", client_settings(options.server.url).error().detail);
  }
  const auto loaded = load_config(options.sources);
  if (!loaded) {
    print_error("daybook salvage: the configuration is wrong:\n" + loaded.error().detail + "\n");
    return kExitFailed;
  }
  const SalvageFolder folder(loaded->config.node_data_dir);
  switch (options.action) {
    case Action::list:
      return list_salvaged(folder, options);
    case Action::show:
      return show_salvaged(folder, options, ids.front());
    case Action::post:
      return post_salvaged(folder, options, std::move(ids));
    case Action::drop:
      return drop_salvaged(folder, options, ids.front());
  }
  return kExitUsage;
}

}  // namespace daybook::api
