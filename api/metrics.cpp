#include "api/metrics.hpp"

#include <cmath>

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

namespace daybook::api {
namespace {

// From half a millisecond to a minute; an acknowledgement takes some milliseconds.
const prometheus::Histogram::BucketBoundaries kSeconds = {
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05,
    0.075,  0.1,   0.15,  0.2,   0.3,   0.5,    1,    2,     5,    10,   60};

template <class Type>
prometheus::Family<Type>& make_family(prometheus::Registry& registry, const char* name,
                                      const char* help) {
  return prometheus::detail::Builder<Type>().Name(name).Help(help).Register(registry);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string number(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string sample(const std::string& name, const prometheus::ClientMetric& metric,
                   const std::string& extra, double value) {
  std::string labels;
  for (const auto& label : metric.label) {
    labels += (labels.empty() ? "" : ",") + label.name + "=\"" + escaped(label.value) + "\"";
  }
  if (!extra.empty()) labels += (labels.empty() ? "" : ",") + extra;
  return name + (labels.empty() ? "" : "{" + labels + "}") + " " + number(value) + "\n";
}

std::string open_metrics_family(const prometheus::MetricFamily& family) {
  const bool counter = family.type == prometheus::MetricType::Counter;
  const bool histogram = family.type == prometheus::MetricType::Histogram;
  // OpenMetrics names a counter family without its samples' _total.
  std::string name = family.name;
  if (counter && name.ends_with("_total")) name.resize(name.size() - 6);
  std::string text = "# HELP " + name + " " + escaped(family.help) + "\n# TYPE " + name + " " +
                     (counter     ? "counter"
                      : histogram ? "histogram"
                                  : "gauge") +
                     "\n";
  for (const auto& metric : family.metric) {
    if (counter) {
      text += sample(name + "_total", metric, "", metric.counter.value);
    } else if (histogram) {
      for (const auto& bucket : metric.histogram.bucket) {
        text += sample(name + "_bucket", metric, "le=\"" + number(bucket.upper_bound) + "\"",
                       static_cast<double>(bucket.cumulative_count));
      }
      text += sample(name + "_sum", metric, "", metric.histogram.sample_sum);
      text +=
          sample(name + "_count", metric, "", static_cast<double>(metric.histogram.sample_count));
    } else {
      text += sample(name, metric, "", metric.gauge.value);
    }
  }
  return text;
}

}  // namespace

Metrics::Metrics()
    : registry_()
#define METRIC(member, type, name, help) \
  , member(make_family<prometheus::type>(registry_, name, help))
#include "core/metrics.def"
#undef METRIC
{
}

void Metrics::add(prometheus::Family<prometheus::Counter>& family, const prometheus::Labels& labels,
                  double amount) {
  family.Add(labels).Increment(amount);
}

void Metrics::set(prometheus::Family<prometheus::Gauge>& family, double value,
                  const prometheus::Labels& labels) {
  family.Add(labels).Set(value);
}

void Metrics::observe(prometheus::Family<prometheus::Histogram>& family,
                      const prometheus::Labels& labels, core::Duration took) {
  series(family, labels).Observe(std::chrono::duration<double>(took).count());
}

prometheus::Counter& Metrics::series(prometheus::Family<prometheus::Counter>& family,
                                     const prometheus::Labels& labels) {
  return family.Add(labels);
}

prometheus::Histogram& Metrics::series(prometheus::Family<prometheus::Histogram>& family,
                                       const prometheus::Labels& labels) {
  return family.Add(labels, kSeconds);
}

void Metrics::advance_to(prometheus::Family<prometheus::Counter>& family, double value) {
  auto& counter = family.Add({});
  if (value > counter.Value()) counter.Increment(value - counter.Value());
}

std::string Metrics::text() const {
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

std::string Metrics::open_metrics() const {
  std::string text;
  for (const auto& family : registry_.Collect()) text += open_metrics_family(family);
  return text + "# EOF\n";
}

}  // namespace daybook::api
