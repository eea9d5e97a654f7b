#include "api/server.hpp"

#include <cstdlib>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "api/archive_keeper.hpp"
#include "api/auditor.hpp"
#include "api/aws_log.hpp"
#include "api/feed.hpp"
#include "api/figures.hpp"
#include "api/file_limit.hpp"
#include "api/health.hpp"
#include "api/ingest.hpp"
#include "api/ladder.hpp"
#include "api/memory_plan.hpp"
#include "api/metadata_store.hpp"
#include "api/metrics.hpp"
#include "api/object_store.hpp"
#include "api/pipeline_log.hpp"
#include "api/pollers.hpp"
#include "api/problem.hpp"
#include "api/reconciler.hpp"
#include "api/record_json.hpp"
#include "api/records.hpp"
#include "api/routes.hpp"
#include "api/s3_settings.hpp"
#include "api/server_settings.hpp"
#include "api/store_probe.hpp"
#include "api/subscribers.hpp"
#include "api/transform_settings.hpp"
#include "core/faults.hpp"
#include "core/pipeline/pipeline.hpp"
#include "core/pipeline/stages.hpp"
#include "core/pipeline/transform_stage.hpp"
#include "core/text.hpp"
#include "io/http_server.hpp"
#include "io/runtime.hpp"
#include "io/worker_pool.hpp"
#include "storage/redis_buffer.hpp"
#include "storage/redis_cursors.hpp"
#include "storage/redis_places.hpp"
#include "storage/spool.hpp"
#include "storage/spool_replay.hpp"
#include "storage/trail.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::Task;

// Everything that lives as long as the process serves. Members are made in order and go in reverse;
// the runtime goes last, when no task is left.
class Server {
 public:
  Server(const core::Config& config, Role role, Node node)
      : config_(config),
        role_(role),
        node_(std::move(node)),
        workers_(runtime_, worker_threads(config), "daybook-worker"),
        disk_workers_(runtime_, 4, "daybook-disk"),
        trail_worker_(runtime_, 1, "daybook-trail"),
        spool_worker_(runtime_, 1, "daybook-spool"),
        metadata_writer_(runtime_, 1, "daybook-index"),
        metadata_reader_(runtime_, 1, "daybook-query"),
        memory_(runtime_, config.ingest_memory_max),
        fresh_(role == Role::all ? config.pipeline_fresh_memory_max : 0),
        log_(metrics_) {}

  Result<void> open();
  int run();

 private:
  Task<> stop();
  void make_pipeline();
  void make_subscribers(const storage::RedisBufferSettings& buffer);
  void make_routes();
  void make_watchers();
  Task<> refresh();
  void say_hello() const;

  const core::Config& config_;
  const Role role_;
  const Node node_;
  io::IoRuntime runtime_;
  const core::SteadyTime started_ = runtime_.steady_now();
  const core::WallTime started_at_ = runtime_.now();
  io::WorkerPool workers_;
  io::WorkerPool disk_workers_;
  io::WorkerPool trail_worker_;
  io::WorkerPool spool_worker_;
  io::WorkerPool metadata_writer_;
  io::WorkerPool metadata_reader_;
  Metrics metrics_;
  core::Budget memory_;
  core::pipeline::FreshRecords fresh_;
  PipelineLog log_;
  std::unique_ptr<storage::RedisBuffer> buffer_;
  std::unique_ptr<storage::RedisScan> scan_;
  std::unique_ptr<storage::RedisPlaces> places_;
  std::unique_ptr<storage::Trail> trail_;
  std::unique_ptr<storage::Spool> spool_;
  std::unique_ptr<storage::SpoolReplay> spool_replay_;
  std::unique_ptr<core::ObjectStore> objects_;
  std::unique_ptr<core::MetadataStore> metadata_;
  core::transform::Transforms transforms_;
  std::vector<std::unique_ptr<core::pipeline::Stage>> stages_;
  std::unique_ptr<core::pipeline::Pipeline> pipeline_;
  std::unique_ptr<Health> health_;
  std::unique_ptr<Ladder> ladder_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<Auditor> auditor_;
  std::unique_ptr<ArchiveKeeper> keeper_;
  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<Pollers> pollers_;
  std::unique_ptr<RecordsDoor> records_door_;
  std::unique_ptr<BatchDoor> batch_door_;
  std::unique_ptr<RefusedDocuments> refused_;
  std::unique_ptr<MessageDoor> message_door_;
  std::unique_ptr<Records> records_;
  std::unique_ptr<core::CursorStore> cursors_;
  std::unique_ptr<Subscribers> subscribers_;
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<Figures> figures_;
  std::unique_ptr<Routes> routes_;
  std::unique_ptr<io::HttpServer> http_;
};

Result<void> Server::open() {
  auto settings = buffer_settings(config_, node_.id());
  if (!settings) return pass(std::move(settings));
  scan_ = std::make_unique<storage::RedisScan>(runtime_, settings->server, settings->prefix);
  buffer_ = std::make_unique<storage::RedisBuffer>(runtime_, *settings);
  places_ = std::make_unique<storage::RedisPlaces>(runtime_, settings->server, settings->prefix);
  if (role_ != Role::pipeline) {
    auto trail = storage::Trail::open(runtime_, trail_worker_, config_.node_data_dir + "/trail",
                                      config_.trail_keep);
    if (!trail) return pass(std::move(trail));
    trail_ = std::move(*trail);
    auto spool = storage::Spool::open(
        runtime_, spool_worker_, {.dir = config_.spool_dir, .bytes_max = config_.spool_bytes_max});
    if (!spool) return pass(std::move(spool));
    spool_ = std::move(*spool);
    spool_replay_ = std::make_unique<storage::SpoolReplay>(runtime_, workers_, *spool_, *buffer_,
                                                           config_.buffer_append_timeout);
  }
  auto objects = open_object_store(config_, runtime_, disk_workers_, true, log_aws(metrics_, "s3"));
  if (!objects) return pass(std::move(objects));
  objects_ = std::move(*objects);
  if (auto fits = check_metadata_schema(config_); !fits) return fits;
  auto metadata = open_metadata_store(config_, runtime_, metadata_writer_, metadata_reader_);
  if (!metadata) return pass(std::move(metadata));
  metadata_ = std::move(*metadata);
  name_row_store(config_.metadata_kind);
  auto transforms = open_transforms(config_, runtime_, disk_workers_);
  if (!transforms) return pass(std::move(transforms));
  transforms_ = std::move(*transforms);
  if (role_ != Role::ingest) make_pipeline();
  make_subscribers(*settings);
  make_routes();
  auto endpoint = io::parse_endpoint(config_.server_listen);
  if (!endpoint) return pass(std::move(endpoint));
  return http_->listen(std::move(*endpoint));
}

void Server::make_pipeline() {
  using namespace core::pipeline;
  if (!transforms_.empty()) {
    TransformStage::Settings transform;
    transform.records_max = records_in_flight(config_);
    transform.payloads_max = config_.pipeline_archive_concurrency;
    transform.timeout = config_.pipeline_index_timeout;
    stages_.push_back(std::make_unique<TransformStage>(runtime_, workers_, *buffer_, fresh_,
                                                       *metadata_, transforms_, transform));
  }
  stages_.push_back(std::make_unique<ArchiveStage>(
      runtime_, workers_, *buffer_, fresh_, *objects_,
      ArchiveStage::Settings{config_.archive_prefix, config_.pipeline_archive_concurrency,
                             config_.pipeline_archive_timeout, segment_settings(config_, metrics_),
                             records_in_flight(config_)}));
  stages_.push_back(std::make_unique<IndexStage>(runtime_, *metadata_, config_.pipeline_index_batch,
                                                 config_.pipeline_index_timeout));
  stages_.push_back(std::make_unique<ReleaseStage>(runtime_, *buffer_, config_.pipeline_index_batch,
                                                   config_.pipeline_release_timeout));
  std::vector<Stage*> order;
  order.reserve(stages_.size());
  for (const auto& stage : stages_) order.push_back(stage.get());
  PipelineSettings settings;
  settings.records_in_flight = records_in_flight(config_);
  settings.lease = config_.pipeline_lease;
  settings.parked_retry = config_.pipeline_parked_retry;
  settings.starts_max = static_cast<std::uint32_t>(config_.pipeline_starts_max);
  settings.retry = {static_cast<std::uint32_t>(config_.pipeline_attempts_max),
                    config_.pipeline_retry_first, config_.pipeline_retry_max};
  settings.seed = static_cast<std::uint64_t>(started_at_.time_since_epoch().count());
  pipeline_ = std::make_unique<Pipeline>(runtime_, *buffer_, std::move(order), log_, settings);
}

// Those who deliver have the pipeline's role, and so the stores that notices tell of.
void Server::make_subscribers(const storage::RedisBufferSettings& buffer) {
  cursors_ = std::make_unique<storage::RedisCursors>(runtime_, buffer.server, buffer.prefix);
  subscribers_ = std::make_unique<Subscribers>(
      Subscribers::Services{runtime_, workers_, *buffer_, *objects_, *metadata_, *cursors_,
                            metrics_},
      config_, core::SubscriberOwner{.node = buffer.node, .run = buffer.run},
      role_ != Role::ingest);
}

void Server::make_routes() {
  health_ =
      std::make_unique<Health>(Health::Services{runtime_, *buffer_, trail_.get(), spool_.get(),
                                                *objects_, *metadata_, metrics_},
                               config_);
  records_ = std::make_unique<Records>(Records::Services{
      runtime_, workers_, *buffer_, *objects_, *metadata_, memory_, spool_.get(), pipeline_.get()});
  if (trail_) {
    ladder_ = std::make_unique<Ladder>(
        Ladder::Services{runtime_, disk_workers_, *buffer_, fresh_, *spool_, *objects_, *metadata_,
                         *trail_, metrics_, transforms_},
        config_);
    ingest_ = std::make_unique<Ingest>(
        Ingest::Services{runtime_, workers_, *buffer_, *ladder_, metrics_, memory_,
                         [this](core::RecordId id, Level level, core::Deadline deadline) {
                           return records_->wait_for(id, level, deadline);
                         },
                         [this] { return health_->admission(); }},
        config_);
    records_door_ = std::make_unique<RecordsDoor>(runtime_, workers_, *ingest_, metrics_, config_);
    batch_door_ = std::make_unique<BatchDoor>(runtime_, workers_, *ingest_, metrics_, config_);
    refused_ = std::make_unique<RefusedDocuments>(
        RefusedDocuments::Services{runtime_, disk_workers_, *ingest_, metrics_}, config_);
    refused_->open();
    message_door_ = std::make_unique<MessageDoor>(
        MessageDoor::Services{workers_, *ingest_, *refused_, metrics_}, config_);
    pollers_ = std::make_unique<Pollers>(
        Pollers::Services{runtime_, workers_, disk_workers_, *places_, *ingest_, metrics_}, config_,
        node_.id());
  }
  make_watchers();
  const io::HttpServerSettings http = http_settings(config_);
  feed_ =
      std::make_unique<Feed>(Feed::Services{runtime_, workers_, *metadata_, *objects_, metrics_},
                             config_, http.connections_max);
  log_.when_indexed = [this] { feed_->nudge(); };
  figures_ = std::make_unique<Figures>(
      Figures::Services{runtime_, *buffer_, *objects_, *metadata_, memory_, *health_, *subscribers_,
                        metrics_, spool_.get(), spool_replay_.get(), pipeline_.get(),
                        reconciler_.get(), pollers_.get()},
      config_, role_, node_.id());
  routes_ = std::make_unique<Routes>(Routes::Services{
      records_door_.get(), batch_door_.get(), message_door_.get(), *records_, *subscribers_, *feed_,
      *health_, metrics_, [this] { return figures_->status(); }, [this] { return refresh(); },
      pollers_.get()});
  http_ = std::make_unique<io::HttpServer>(
      runtime_, http, [this](io::HttpExchange& exchange) { return routes_->handle(exchange); },
      [this](int status, const std::string& detail) { return routes_->refuse(status, detail); });
}

// The trail is with whoever takes records; the archive is audited by whoever fills it.
void Server::make_watchers() {
  if (trail_) {
    reconciler_ = std::make_unique<Reconciler>(
        Reconciler::Services{
            runtime_, disk_workers_, *buffer_, *scan_, *objects_, *metadata_, metrics_,
            [this](const core::RecordId& id) { return spool_->find(id).has_value(); }},
        config_);
  }
  if (role_ != Role::ingest) {
    auditor_ = std::make_unique<Auditor>(
        Auditor::Services{runtime_, workers_, *objects_, *metadata_, metrics_}, config_);
    keeper_ = std::make_unique<ArchiveKeeper>(runtime_, *objects_);
  }
}

int Server::run() {
  say_hello();
  runtime_.on_terminate([this] { runtime_.spawn(stop()); });
  runtime_.spawn(buffer_->run());
  runtime_.spawn(health_->run());
  if (spool_replay_) runtime_.spawn(spool_replay_->run());
  if (reconciler_) runtime_.spawn(reconciler_->run());
  if (auditor_) runtime_.spawn(auditor_->run());
  if (keeper_) runtime_.spawn(keeper_->run());
  runtime_.spawn(feed_->run());
  if (pipeline_) pipeline_->start();
  subscribers_->start();
  if (pollers_) pollers_->start();
  runtime_.run();
  spdlog::info("daybook has stopped");
  return 0;
}

// SIGTERM: accept no more, finish what is in flight, let the pipeline empty its hands, go. Whatever
// does not finish in time is in the buffer already; leaving then loses nothing.
Task<> Server::stop() {
  const core::Deadline deadline = runtime_.steady_now() + config_.server_drain_timeout;
  spdlog::info("stopping: {} connections, {} records in the archive stage", http_->connections(),
               pipeline_ ? pipeline_->in_flight("archive") : 0);
  http_->close();
  subscribers_->stop();
  feed_->close();
  if (pollers_) pollers_->close();
  bool drained = co_await http_->drained(deadline);
  if (pollers_) drained = co_await pollers_->drained(deadline) && drained;
  if (pipeline_) {
    pipeline_->stop();
    drained = co_await pipeline_->drained(deadline) && drained;
  }
  drained = co_await subscribers_->drained(deadline) && drained;
  if (spool_replay_) spool_replay_->close();
  health_->close();
  if (reconciler_) reconciler_->close();
  if (auditor_) auditor_->close();
  if (keeper_) keeper_->close();
  buffer_->close();
  if (drained) co_return;
  spdlog::warn(
      "server.drain_timeout passed; unfinished requests got no answer, records on their "
      "way stay in the buffer");
  spdlog::shutdown();
  std::_Exit(0);
}

// When Redis does not answer at once, the figures of its last check are shown.
Task<> Server::refresh() {
  const auto health = buffer_->health();
  if (health || health.error().code != core::Code::unavailable) {
    static_cast<void>(co_await buffer_->stats(runtime_.steady_now() + std::chrono::seconds(2)));
  }
  co_await feed_->refresh_metrics();
  figures_->refresh(http_->connections(), http_->ended_for_room());
}

void Server::say_hello() const {
  spdlog::info("daybook {} listens on http://{} (role {}, runtime {}, node {})", DAYBOOK_VERSION,
               http_->local().str(), to_string(role_), io::backend_name(), node_.id());
  spdlog::info("buffer {} ({}), archive {}, metadata {}", config_.buffer_url,
               config_.buffer_durability, objects_->describe(), metadata_->describe());
  if (const auto within = connections_within(config_, open_files_max());
      within < config_.server_connections_max) {
    spdlog::warn(
        "the limit on open files ({}) leaves room for {} connections, fewer than "
        "server.connections_max ({}); raise LimitNOFILE or ulimit -n",
        open_files_max(), within, config_.server_connections_max);
  }
  spdlog::info("memory at most: {}", memory_text(memory_users(config_, worker_threads(config_))));
}

void start_log(const core::Config& config) {
  auto logger = spdlog::get("daybook");
  if (!logger) logger = spdlog::stderr_color_mt("daybook");
  spdlog::set_default_logger(logger);
  spdlog::set_level(spdlog::level::from_str(config.log_level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  spdlog::flush_on(spdlog::level::info);
}

// Test builds only: FAULTS_CRASH="point:hit", FAULTS_POISON="subject",
// FAULTS_DEFECT="name".
void plan_faults() {
#ifdef DAYBOOK_FAULTS
  const auto word = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text != nullptr ? text : "");
  };
  core::faults::Plan plan;
  plan.crash_point = word("FAULTS_CRASH");
  if (const auto colon = plan.crash_point.find(':'); colon != std::string::npos) {
    plan.crash_hit =
        static_cast<unsigned>(std::strtoul(plan.crash_point.c_str() + colon + 1, nullptr, 10));
    plan.crash_point.resize(colon);
  }
  plan.poison = word("FAULTS_POISON");
  plan.defect = word("FAULTS_DEFECT");
  spdlog::warn("this is a TEST BUILD with faults compiled in: never take records with it");
  core::faults::configure(std::move(plan));
#endif
}

// Refuses a store that cannot protect what the settings promise to protect. One that is away is no
// reason: nothing is archived before it has been asked, and records wait in the buffer.
Result<void> check_store(const core::Config& config) {
  if (!promises_protection(config)) return {};
  const StoreReport report = probe_object_store(config);
  if (report.verdict) return {};
  if (report.verdict.error().code == core::Code::misconfigured) return report.verdict;
  spdlog::warn("object store: {}; whether it keeps what the settings promise shows later",
               report.verdict.error().detail);
  return {};
}

}  // namespace

int serve(const core::Config& config, Role role) {
  start_log(config);
  plan_faults();
  if (auto usable = io::probe_backend(); !usable) {
    spdlog::critical("{}", usable.error().detail);
    return 1;
  }
  const auto users = memory_users(config, worker_threads(config));
  if (auto fits = check_memory(users, config.node_memory_max); !fits) {
    spdlog::critical("{}", fits.error().detail);
    return 1;
  }
  if (auto safe = check_store(config); !safe) {
    spdlog::critical("{}", safe.error().detail);
    return 1;
  }
  auto node = Node::open(config.node_data_dir, role);
  if (!node) {
    spdlog::critical("{}", node.error().detail);
    return 1;
  }
  Server server(config, role, std::move(*node));
  if (auto opened = server.open(); !opened) {
    spdlog::critical("{}", opened.error().detail);
    std::_Exit(1);  // tasks may have been started; nothing was accepted yet
  }
  return server.run();
}

}  // namespace daybook::api
