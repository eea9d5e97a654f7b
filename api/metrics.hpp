// Metrics: the families of core/metrics.def on a prometheus-cpp registry, and their two text forms.
// Handles for hot paths are made once; label values come from closed sets. I/O thread only.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "core/units.hpp"

namespace daybook::api {

class Metrics {
 public:
  Metrics();

 private:
  prometheus::Registry registry_;  // before the families, which live in it

 public:
#define METRIC(member, type, name, help) prometheus::Family<prometheus::type>& member;
#include "core/metrics.def"
#undef METRIC

  void add(prometheus::Family<prometheus::Counter>& family, const prometheus::Labels& labels,
           double amount = 1);
  void set(prometheus::Family<prometheus::Gauge>& family, double value,
           const prometheus::Labels& labels = {});
  void observe(prometheus::Family<prometheus::Histogram>& family, const prometheus::Labels& labels,
               core::Duration took);
  // One series, for who counts often: finding it by its labels costs more than counting.
  static prometheus::Counter& series(prometheus::Family<prometheus::Counter>& family,
                                     const prometheus::Labels& labels);
  static prometheus::Histogram& series(prometheus::Family<prometheus::Histogram>& family,
                                       const prometheus::Labels& labels);
  // A counter whose truth is kept elsewhere; it never goes back.
  void advance_to(prometheus::Family<prometheus::Counter>& family, double value);

  // Prometheus text format 0.0.4.
  [[nodiscard]] std::string text() const;
  // OpenMetrics 1.0.0.
  [[nodiscard]] std::string open_metrics() const;
};

}  // namespace daybook::api
