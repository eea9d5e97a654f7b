#include "api/cli_doctor.hpp"

#include <algorithm>
#include <array>
#include <fstream>

#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "api/cli_client.hpp"
#include "api/cli_output.hpp"
#include "api/file_limit.hpp"
#include "api/memory_plan.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"

namespace daybook::api {
namespace {

// The first word of a file of /proc or /sys; empty where there is none.
std::string first_line(const char* path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

std::string_view to_word(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warn:
      return "warn";
    case Verdict::fail:
      return "FAIL";
  }
  return "FAIL";
}

}  // namespace

void Doctor::note(Verdict verdict, std::string subject, std::string detail, std::string mend) {
  if (verdict == Verdict::ok) mend.clear();
  findings_.push_back({verdict, std::move(subject), std::move(detail), std::move(mend)});
}

void Doctor::examine() {
  examine_machine();
  examine_redis();
  examine_data_dir();
  examine_object_store();
  examine_metadata();
  examine_subscribers();
  examine_listen_address();
}

void Doctor::examine_machine() {
  const std::string backend(io::backend_name());
  if (const auto usable = io::probe_backend()) {
    note(Verdict::ok, "runtime", backend + " works in this process");
  } else {
    note(Verdict::fail, "runtime", usable.error().detail,
         "See the sentence above; or build for epoll: cmake --preset epoll");
  }
  const std::string huge_pages = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  if (huge_pages.find("[always]") != std::string::npos) {
    note(Verdict::warn, "huge pages",
         "transparent huge pages are always on: where Redis runs on this machine, its "
         "fork for an AOF rewrite copies far more memory and stalls appends",
         "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
  }
  if (first_line("/proc/sys/vm/overcommit_memory") == "2") {
    note(Verdict::warn, "overcommit",
         "vm.overcommit_memory is 2: a Redis on this machine may fail to rewrite its AOF",
         "sysctl -w vm.overcommit_memory=1");
  }
  examine_file_limit();
  examine_memory();
  rlimit locked{};
  if (io::backend_name() == "io_uring" && ::getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
    const bool unlimited = locked.rlim_cur == RLIM_INFINITY;
    // Kernels before 5.12 charge the ring to this limit; later ones to the memory cgroup.
    note(unlimited || locked.rlim_cur >= 8 * core::MiB ? Verdict::ok : Verdict::warn,
         "locked memory",
         "RLIMIT_MEMLOCK is " + (unlimited ? "unlimited" : core::format_size(locked.rlim_cur)),
         "LimitMEMLOCK=infinity in the service, or ulimit -l unlimited (kernels before 5.12 "
         "need it for io_uring)");
  }
  examine_clock();
}

void Doctor::examine_file_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const std::uint64_t needed = config_.server_connections_max + files_besides_clients(config_);
  const std::string detail =
      "RLIMIT_NOFILE allows " + std::to_string(files.rlim_max) +
      " files; server.connections_max = " + std::to_string(config_.server_connections_max) +
      " needs " + std::to_string(needed);
  // `serve` raises the soft limit to the hard one by itself, so only the hard one counts.
  note(files.rlim_max >= needed ? Verdict::ok : Verdict::warn, "open files", detail,
       "LimitNOFILE=" + std::to_string(2 * needed) +
           " in the service, ulimit -n, or a smaller server.connections_max");
}

void Doctor::examine_memory() {
  const auto users = memory_users(config_, worker_threads(config_));
  const auto fits = check_memory(users, config_.node_memory_max);
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const std::uint64_t machine = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const bool too_large = machine != 0 && memory_sum(users) > machine;
  note(!fits       ? Verdict::fail
       : too_large ? Verdict::warn
                   : Verdict::ok,
       "memory", "at most " + memory_text(users),
       !fits ? fits.error().detail
             : "The machine has " + std::to_string(machine / core::MiB) +
                   " MiB. Lower ingest.memory_max or server.connections_max");
}

void Doctor::examine_clock() {
  // Daybook was written after this moment; a clock before it would put records into wrong hours.
  constexpr core::WallTime kEarliest = std::chrono::sys_days(std::chrono::year(2025) / 1 / 1);
  const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  if (now < kEarliest) {
    return note(Verdict::fail, "clock", "the clock says " + core::format_time(now),
                "Set it, for example: timedatectl set-ntp true");
  }
  timex state{};
  const bool synchronised = ::adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  note(synchronised ? Verdict::ok : Verdict::warn, "clock",
       core::format_time(now) + (synchronised ? ", kept by NTP" : ", not kept by NTP"),
       "timedatectl set-ntp true (received_at and the archive's folders come from this clock)");
}

void Doctor::examine_listen_address() {
  ServerAddress address;
  address.url = "http://" + config_.server_listen;
  address.timeout = std::chrono::seconds(3);
  io::HttpRequest request;
  request.target = "/livez";
  const auto alive = send_request(address, std::move(request));
  if (!alive && alive.error().code == core::Code::unavailable) {
    return note(Verdict::ok, "server",
                "nothing listens at " + config_.server_listen + " yet: daybook serve starts it");
  }
  const auto status = get_json(address, "/v1/status");
  if (alive && alive->head.status == 200 && status && member(*status, "version") != nullptr) {
    const bool ready = flag_of(*status, "ready");
    return note(ready ? Verdict::ok : Verdict::warn, "server",
                "daybook " + printable(text_of(*status, "version")) + " answers at " +
                    config_.server_listen + (ready ? ", ready" : ", but is not ready"),
                "daybook status --url " + address.url);
  }
  note(Verdict::fail, "server", "something that is no Daybook holds " + config_.server_listen,
       "Stop it, or choose another server.listen");
}

std::string render_findings(const Findings& findings) {
  std::size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.subject.size());
  std::string text;
  std::array<std::size_t, 3> counts{};
  for (const Finding& finding : findings) {
    ++counts[static_cast<std::size_t>(finding.verdict)];
    std::string head(to_word(finding.verdict));
    head.resize(6, ' ');
    head += finding.subject + std::string(width + 2 - finding.subject.size(), ' ');
    text += head + printable(finding.detail) + "\n";
    if (!finding.mend.empty()) {
      text += std::string(head.size(), ' ') + "-> " + printable(finding.mend) + "\n";
    }
  }
  return text + std::to_string(counts[0]) + " ok, " + std::to_string(counts[1]) + " to look at, " +
         std::to_string(counts[2]) + " failed\n";
}

std::string findings_json(const Findings& findings) {
  boost::json::array list;
  for (const Finding& finding : findings) {
    list.push_back(boost::json::object{{"verdict", core::to_lower(to_word(finding.verdict))},
                                       {"subject", finding.subject},
                                       {"detail", finding.detail},
                                       {"mend", finding.mend}});
  }
  return boost::json::serialize(list);
}

int run_doctor(const ConfigSources& sources, bool json) {
  const auto loaded = load_config(sources);
  if (!loaded) {
    print_error("daybook doctor: the configuration is wrong:\n" + loaded.error().detail + "\n");
    return kExitFailed;
  }
  Doctor doctor(loaded->config);
  doctor.examine();
  print(json ? findings_json(doctor.findings()) + "\n" : render_findings(doctor.findings()));
  const bool failed = std::ranges::any_of(
      doctor.findings(), [](const Finding& finding) { return finding.verdict == Verdict::fail; });
  return failed ? kExitFailed : kExitOk;
}

}  // namespace daybook::api
