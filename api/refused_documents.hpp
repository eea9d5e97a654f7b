// RefusedDocuments: documents that a door refused for what is in them, kept for an operator as
// node.data_dir/salvage/refused/<id>.zst in the stored form, with the reason in the envelope's
// context. Nobody was promised anything, so they may go: together they take no more disk than
// ingest.refused_keep_max, the oldest go first, one is written at a time (another one that comes
// meanwhile is not kept), and the same bytes are kept once, however often they are sent: whoever
// sends nonsense fills neither the disk nor the folder. I/O thread only.
#pragma once

#include <deque>
#include <string>

#include "api/ingest.hpp"
#include "api/metrics.hpp"
#include "core/config.hpp"
#include "core/ports/workers.hpp"

namespace daybook::api {

class RefusedDocuments {
 public:
  struct Services {
    core::Runtime& runtime;
    core::Workers& disk;
    Ingest& ingest;
    Metrics& metrics;
  };
  RefusedDocuments(Services services, const core::Config& config);

  // What is left from earlier runs. Blocking; at start-up.
  void open();

  // Reads the document to its end and keeps it. Its id; empty where it is not kept. about: what is
  // known of it; the rest is made here.
  core::Task<std::string> keep(core::Envelope about, std::string reason, RecordSource& document);

 private:
  struct Kept {
    core::RecordId id;
    core::Sha256 sha256;
    std::uint64_t bytes = 0;
  };
  core::Task<bool> fill(RecordSource& document, core::PayloadSealer& sealer) const;
  core::Task<bool> write(std::shared_ptr<const core::SealedObject> object);
  void forget_oldest(std::uint64_t bytes_max);
  [[nodiscard]] std::string path_of(const core::RecordId& id) const;

  Services services_;
  const core::Config& config_;
  const std::string folder_;
  core::RecordIdGenerator ids_;
  std::deque<Kept> kept_;  // oldest first
  std::uint64_t bytes_ = 0;
  bool busy_ = false;
};

}  // namespace daybook::api
