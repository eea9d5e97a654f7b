// The http(s) URLs of settings and command lines.
#include <charconv>

#include "core/http/authority.hpp"
#include "core/text.hpp"
#include "io/http_client.hpp"

namespace daybook::io {
namespace {

bool is_visible_ascii(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (https ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

core::Result<Url> parse_url(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                      "'" + std::string(text) +
                          "' is no address like http://127.0.0.1:7080: " + std::string(why));
  };
  Url url;
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return bad("it must start with http:// or https://");
  const std::string scheme = core::to_lower(text.substr(0, scheme_end));
  if (scheme != "http" && scheme != "https") return bad("it must start with http:// or https://");
  url.https = scheme == "https";

  const std::string_view rest = text.substr(scheme_end + 3);
  const std::size_t path_start = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, path_start);
  std::string_view path = rest.substr(path_start);
  if (authority.find('@') != std::string_view::npos) {
    // Without the text: what stands before the @ is shown to nobody.
    return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                      "credentials do not belong here: write " + scheme + "://" +
                          std::string(authority.substr(authority.rfind('@') + 1)));
  }
  if (!is_visible_ascii(rest)) return bad("it holds a space or a character that must be encoded");
  if (path.find_first_of("?#") != std::string_view::npos)
    return bad("'?' and '#' mean nothing here");
  if (authority.empty() || !core::http::is_authority(authority)) return bad("the host is missing");

  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string_view host = authority.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  url.host = host;
  url.port = url.https ? 443 : 80;
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
    if (error != std::errc{} || end != digits.data() + digits.size() || url.port == 0) {
      return bad("the port is no number from 1 to 65535");
    }
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  url.path = path;
  return url;
}

std::string FullUrl::origin() const {
  return (server.https ? "https://" : "http://") + server.authority();
}

std::string FullUrl::without_query() const {
  return origin() + target.substr(0, target.find('?'));
}

core::Result<FullUrl> parse_full_url(std::string_view text) {
  const std::size_t query = std::min(text.find('?'), text.size());
  auto url = parse_url(text.substr(0, query));
  if (!url) return core::pass(std::move(url));
  if (text.contains('#') || !is_visible_ascii(text.substr(query))) {
    return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                      "'" + std::string(text.substr(0, query)) +
                          "': a space, '#' or a character that must be encoded is in its query");
  }
  const std::size_t path = std::min(text.find('/', text.find("://") + 3), query);
  FullUrl full{*std::move(url), std::string(text.substr(path))};
  full.server.path.clear();
  if (!full.target.starts_with('/')) full.target.insert(0, "/");
  return full;
}

}  // namespace daybook::io
