#include "supervise/engine_api.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>

#include "base/text.h"

namespace nines::supervise {
namespace {

namespace json = boost::json;

constexpr std::size_t kSaidMax = 500;  // of an engine's message, in one of ours

// What may be in an id, a name, a tag or a number as it is; everything else becomes %XX.
std::string escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~' || c == '/' || c == ':';
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::string at(ApiVersion version, std::string_view path) { return "/v" + version.text() + std::string(path); }

std::string of_container(ApiVersion version, std::string_view id, std::string_view what) {
  return at(version, "/containers/") + escaped(id) + std::string(what);
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kSaidMax));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return std::string(trim(out));
}

Result<json::object> object_of(std::string_view body, std::string_view what) {
  json::error_code error;
  json::value value = json::parse(body, error);
  if (error || !value.is_object())
    return failure(Code::kProtocol, "the container engine's answer about " + std::string(what) + " is no JSON object");
  return std::move(value.as_object());
}

Error strange(std::string_view what, std::string_view field) {
  return {Code::kProtocol,
          "the container engine's answer about " + std::string(what) + " has no usable \"" + std::string(field) + "\""};
}

// The engine's own words for why not.
std::string said(std::string_view body) {
  json::error_code error;
  const json::value value = json::parse(body, error);
  if (!error && value.is_object()) {
    for (const char* const key : {"message", "cause"}) {
      const json::value* const text = value.as_object().if_contains(key);
      if (text != nullptr && text->is_string() && !text->as_string().empty()) return printable(text->as_string());
    }
  }
  const std::string text = printable(body);
  return text.empty() ? "it does not say why" : text;
}

bool good(int status) { return status >= 200 && status < 300; }

Error refusal(int status, std::string_view body, const std::string& what) {
  const Code code = status == 404                    ? Code::kNotFound
                    : status == 409                  ? Code::kExists
                    : status >= 400 && status <= 499 ? Code::kInvalid
                                                     : Code::kUnavailable;
  return {code, what + ": the container engine answers " + std::to_string(status) + ": " + said(body)};
}

Error no_image(std::string_view image) {
  const std::string name(image);
  return {Code::kNotFound, "the image " + name + " is not on this machine; fetch it with `docker pull " + name +
                               "`, or make it with `docker build -t " + name + " FOLDER`"};
}

const json::object* child(const json::object& parent, std::string_view key) {
  const json::value* const value = parent.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

// Absent or null is `otherwise`; nullopt: another type.
std::optional<std::string> text_of(const json::object& parent, std::string_view key) {
  const json::value* const value = parent.if_contains(key);
  if (value == nullptr || value->is_null()) return "";
  if (!value->is_string()) return std::nullopt;
  return std::string(value->as_string());
}

std::optional<bool> truth_of(const json::object& parent, std::string_view key) {
  const json::value* const value = parent.if_contains(key);
  if (value == nullptr || value->is_null()) return false;
  if (!value->is_bool()) return std::nullopt;
  return value->as_bool();
}

std::optional<std::int64_t> number_of(const json::object& parent, std::string_view key) {
  const json::value* const value = parent.if_contains(key);
  if (value == nullptr || value->is_null()) return 0;
  json::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  if (error) return std::nullopt;
  return number;
}

std::string tag_in(const json::object* labels) {
  return labels != nullptr ? text_of(*labels, kTagLabel).value_or("") : "";
}

std::vector<std::uint16_t> ports_in(const json::object* settings) {
  std::vector<std::uint16_t> ports;
  const json::object* const all = settings != nullptr ? child(*settings, "Ports") : nullptr;
  if (all == nullptr) return ports;
  for (const auto& [inside, outside] : *all) {
    if (!outside.is_array()) continue;  // exposed, and not published
    for (const json::value& place : outside.as_array()) {
      const auto port = place.is_object() ? text_of(place.as_object(), "HostPort") : std::nullopt;
      const auto number = parse_unsigned(port.value_or(""));
      if (number && *number > 0 && *number <= UINT16_MAX) ports.push_back(static_cast<std::uint16_t>(*number));
    }
  }
  return ports;
}

// Two digits and more at `from`; what is no digit is refused.
std::optional<int> digits(std::string_view text, std::size_t from, std::size_t count) {
  if (from + count > text.size()) return std::nullopt;
  const auto number = parse_unsigned(text.substr(from, count));
  if (!number) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace

std::optional<ApiVersion> ApiVersion::parse(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto major = parse_unsigned(text.substr(0, dot));
  const auto minor = parse_unsigned(text.substr(dot + 1));
  constexpr std::uint64_t kMax = 100'000;
  if (!major || !minor || *major > kMax || *minor > kMax) return std::nullopt;
  return ApiVersion{static_cast<int>(*major), static_cast<int>(*minor)};
}

std::string ApiVersion::text() const { return std::to_string(major) + "." + std::to_string(minor); }

EngineRequest ask_version() { return {"GET", "/version", ""}; }

EngineRequest ask_create(ApiVersion version, const ContainerSpec& spec) {
  json::array environment, binds;
  for (const auto& [name, value] : spec.environment) environment.emplace_back(name + "=" + value);
  for (const std::string& bind : spec.binds) binds.emplace_back(bind);
  json::object host{
      {"NetworkMode", spec.host_network ? "host" : "bridge"},
      // nines restarts; two who do would fight.
      {"RestartPolicy", json::object{{"Name", "no"}}},
      // What is not read from there at once is read once somebody does; bounded, since nines keeps the logs.
      {"LogConfig", json::object{{"Type", "json-file"}, {"Config", json::object{{"max-size", "10m"}}}}},
      {"OomScoreAdj", kReplicaOomScore}};
  if (!binds.empty()) host["Binds"] = std::move(binds);
  if (spec.memory > 0) {
    host["Memory"] = spec.memory;
    host["MemorySwap"] = spec.memory;  // a server that swaps is down without being dead
  }
  constexpr std::int64_t kNanoCpusInPercent = 10'000'000;
  if (spec.cpu_percent > 0) host["NanoCpus"] = spec.cpu_percent * kNanoCpusInPercent;
  json::object body{{"Image", spec.image}, {"Labels", json::object{{kTagLabel, spec.tag}}}, {"Tty", false}};
  if (!spec.command.empty()) {
    json::array words;
    for (const std::string& word : spec.command) words.emplace_back(word);
    body["Cmd"] = std::move(words);
  }
  if (!environment.empty()) body["Env"] = std::move(environment);
  if (!spec.host_network) {
    const std::string port = std::to_string(spec.image_port) + "/tcp";
    body["ExposedPorts"] = json::object{{port, json::object{}}};
    host["PortBindings"] = json::object{
        {port, json::array{json::object{{"HostIp", "127.0.0.1"}, {"HostPort", std::to_string(spec.host_port)}}}}};
  }
  body["HostConfig"] = std::move(host);
  return {"POST", at(version, "/containers/create?name=") + escaped(spec.name), json::serialize(body)};
}

EngineRequest ask_start(ApiVersion version, std::string_view id) {
  return {"POST", of_container(version, id, "/start"), ""};
}

EngineRequest ask_kill(ApiVersion version, std::string_view id, std::string_view signal) {
  return {"POST", of_container(version, id, "/kill?signal=") + escaped(signal), ""};
}

EngineRequest ask_wait(ApiVersion version, std::string_view id) {
  return {"POST", of_container(version, id, "/wait?condition=not-running"), ""};
}

EngineRequest ask_inspect(ApiVersion version, std::string_view id) {
  return {"GET", of_container(version, id, "/json"), ""};
}

EngineRequest ask_remove(ApiVersion version, std::string_view id) {
  return {"DELETE", of_container(version, id, "?force=1&v=1"), ""};
}

EngineRequest ask_list(ApiVersion version) {
  const json::object filters{{"label", json::array{json::string(kTagLabel)}}};
  return {"GET", at(version, "/containers/json?all=1&filters=") + escaped(json::serialize(filters)), ""};
}

EngineRequest ask_logs(ApiVersion version, std::string_view id, std::int64_t since) {
  constexpr std::int64_t kNanos = 1'000'000'000;
  std::string nanos = std::to_string(since % kNanos);
  nanos.insert(0, 9 - nanos.size(), '0');
  return {"GET",
          of_container(version, id, "/logs?follow=1&stdout=1&stderr=1&timestamps=1&since=") +
              std::to_string(since / kNanos) + "." + nanos,
          ""};
}

EngineRequest ask_image(ApiVersion version, std::string_view image) {
  return {"GET", at(version, "/images/") + escaped(image) + "/json", ""};
}

Result<ApiVersion> read_version(int status, std::string_view body) {
  if (!good(status)) return failure(refusal(status, body, "ask for its version"));
  const auto answer = object_of(body, "its version");
  if (!answer) return failure(answer.error());
  const auto newest = ApiVersion::parse(text_of(*answer, "ApiVersion").value_or(""));
  if (!newest) return failure(strange("its version", "ApiVersion"));
  const auto oldest = ApiVersion::parse(text_of(*answer, "MinAPIVersion").value_or("")).value_or(ApiVersion{});
  if (*newest < kOldestApi)
    return failure(Code::kInvalid, "the container engine speaks only API " + newest->text() + "; nines needs " +
                                       kOldestApi.text() + ": Docker 18.09 or Podman 3, or newer");
  // A newer engine drops what is old one day; its oldest is closer to ours than a version nobody speaks.
  return std::max(std::min(*newest, kNewestApi), oldest);
}

Result<std::string> read_created(int status, std::string_view body, const ContainerSpec& spec) {
  if (status == 404) return failure(no_image(spec.image));
  if (status == 409)
    return failure(Code::kExists,
                   "another container has the name " + spec.name + "; `docker rm -f " + spec.name + "` removes it");
  if (!good(status)) return failure(refusal(status, body, "create a container of " + spec.image));
  const auto answer = object_of(body, "a new container");
  if (!answer) return failure(answer.error());
  std::string id = text_of(*answer, "Id").value_or("");
  if (id.empty()) return failure(strange("a new container", "Id"));
  return id;
}

Result<> read_started(int status, std::string_view body, const ContainerSpec& spec) {
  constexpr int kRunsAlready = 304;
  if (good(status) || status == kRunsAlready) return {};
  Error error = refusal(status, body, "start a container of " + spec.image);
  // Docker and Podman, with and without a proxy of theirs.
  const std::string why = said(body);
  for (const std::string_view taken : {"port is already allocated", "address already in use"}) {
    if (why.find(taken) != std::string::npos) return failure(Code::kExists, error.message());
  }
  // Podman answers 500 to what Docker answers 400.
  for (const std::string_view missing : {"no such file or directory", "executable file not found"}) {
    if (why.find(missing) != std::string::npos) return failure(Code::kInvalid, error.message());
  }
  return failure(std::move(error));
}

Result<> read_killed(int status, std::string_view body) {
  if (good(status)) return {};
  if (status == 404 || status == 409) return failure(Code::kNotFound, "the container has ended");
  return failure(refusal(status, body, "send a signal to a container"));
}

Result<> read_removed(int status, std::string_view body) {
  // 409: somebody is removing it already.
  if (good(status) || status == 404 || status == 409) return {};
  return failure(refusal(status, body, "remove a container"));
}

Result<> read_image(int status, std::string_view body, std::string_view image) {
  if (status == 404) return failure(no_image(image));
  if (!good(status)) return failure(refusal(status, body, "look for the image " + std::string(image)));
  return {};
}

Exit ContainerState::exit() const {
  constexpr int kSignalled = 128, kSignals = 64;
  if (exit_code > kSignalled && exit_code <= kSignalled + kSignals)
    return {.kind = Exit::Kind::kSignal, .value = exit_code - kSignalled};
  return {.kind = Exit::Kind::kStatus, .value = exit_code};
}

Result<ContainerState> read_state(int status, std::string_view body) {
  constexpr std::string_view kWhat = "a container";
  if (!good(status)) return failure(refusal(status, body, "look at a container"));
  const auto answer = object_of(body, kWhat);
  if (!answer) return failure(answer.error());
  const json::object* const state = child(*answer, "State");
  if (state == nullptr) return failure(strange(kWhat, "State"));
  const auto id = text_of(*answer, "Id"), error = text_of(*state, "Error");
  const auto running = truth_of(*state, "Running"), oom = truth_of(*state, "OOMKilled");
  const auto pid = number_of(*state, "Pid"), code = number_of(*state, "ExitCode");
  if (!id || id->empty()) return failure(strange(kWhat, "Id"));
  if (!running || state->if_contains("Running") == nullptr) return failure(strange(kWhat, "Running"));
  if (!pid || *pid < 0 || *pid > INT32_MAX) return failure(strange(kWhat, "Pid"));
  if (!code || *code < INT32_MIN || *code > INT32_MAX) return failure(strange(kWhat, "ExitCode"));
  ContainerState read{.id = *id,
                      .tag = "",
                      .running = *running,
                      .pid = static_cast<pid_t>(*pid),
                      .exit_code = static_cast<int>(*code),
                      .oom = oom.value_or(false),
                      .error = printable(error.value_or("")),
                      .stop_signal = "",
                      .published = ports_in(child(*answer, "NetworkSettings"))};
  if (const json::object* const config = child(*answer, "Config")) {
    read.tag = tag_in(child(*config, "Labels"));
    // Podman writes a number here, in old versions.
    if (const auto number = number_of(*config, "StopSignal"); number && *number > 0)
      read.stop_signal = std::to_string(*number);
    else
      read.stop_signal = text_of(*config, "StopSignal").value_or("");
  }
  return read;
}

Result<std::vector<ListedContainer>> read_list(int status, std::string_view body, std::string_view tag_prefix) {
  if (!good(status)) return failure(refusal(status, body, "list containers"));
  json::error_code error;
  const json::value answer = json::parse(body, error);
  if (error || !answer.is_array())
    return failure(Code::kProtocol, "the container engine's list of containers is no JSON array");
  std::vector<ListedContainer> all;
  for (const json::value& item : answer.as_array()) {
    const json::object* const container = item.if_object();
    if (container == nullptr) return failure(strange("its containers", "Id"));
    const std::string tag = tag_in(child(*container, "Labels"));
    if (!tag.starts_with(tag_prefix) || tag.empty()) continue;
    const auto id = text_of(*container, "Id"), state = text_of(*container, "State");
    if (!id || id->empty()) return failure(strange("its containers", "Id"));
    if (!state || state->empty()) return failure(strange("its containers", "State"));
    all.push_back({*id, tag, *state == "running" || *state == "paused" || *state == "restarting"});
  }
  return all;
}

std::optional<std::int64_t> parse_log_time(std::string_view text) {
  using namespace std::chrono;
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') return std::nullopt;
  const year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day))};
  // Years that nanoseconds in 64 bits reach.
  if (!date.ok() || *year < 1970 || *year > 2200 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::size_t place = 19;
  std::int64_t fraction = 0;
  if (place < text.size() && text[place] == '.') {
    std::int64_t unit = 100'000'000;
    for (++place; place < text.size() && text[place] >= '0' && text[place] <= '9'; ++place, unit /= 10)
      fraction += (text[place] - '0') * unit;
  }
  minutes offset{0};
  const std::string_view zone = text.substr(place);
  if (zone != "Z") {
    const auto hours_off = digits(zone, 1, 2), minutes_off = digits(zone, 4, 2);
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' || !hours_off || !minutes_off)
      return std::nullopt;
    offset = hours(*hours_off) + minutes(*minutes_off);
    if (zone[0] == '-') offset = -offset;
  }
  const auto at = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second) - offset;
  return duration_cast<nanoseconds>(at.time_since_epoch()).count() + fraction;
}

// What stands at the beginning of the frame is known: its time, or text.
void LogFrames::end_stamp(std::string& text) {
  in_stamp_ = false;
  const auto space = head_.find(' ');
  const auto time = space != std::string::npos ? parse_log_time(std::string_view(head_).substr(0, space))
                                               : std::optional<std::int64_t>();
  stamp_ = time.value_or(0);
  text += time ? head_.substr(space + 1) : head_;
  head_.clear();
}

Result<> LogFrames::take(std::string_view bytes, std::string& text) {
  constexpr std::size_t kHeader = 8;
  constexpr std::size_t kStampMax = 36;  // "2026-11-27T05:29:38.416191739+01:00 "
  constexpr char kStreams = 3;           // input, output, errors
  while (!bytes.empty() || (left_ == 0 && in_stamp_)) {
    if (in_stamp_) {
      const std::size_t room = std::min<std::uint64_t>(left_, kStampMax - head_.size());
      const std::string_view piece = bytes.substr(0, room);
      const auto space = piece.find(' ');
      const std::size_t taken = space != std::string_view::npos ? space + 1 : piece.size();
      head_ += piece.substr(0, taken);
      bytes.remove_prefix(taken);
      left_ -= taken;
      if (space != std::string_view::npos || head_.size() == kStampMax || left_ == 0) end_stamp(text);
      if (left_ == 0 && stamp_ != 0) last_ = stamp_;
      continue;
    }
    if (left_ > 0) {
      const std::string_view piece = bytes.substr(0, left_);
      text += piece;
      bytes.remove_prefix(piece.size());
      left_ -= piece.size();
      if (left_ == 0 && stamp_ != 0) last_ = stamp_;
      continue;
    }
    const std::string_view piece = bytes.substr(0, kHeader - head_.size());
    head_ += piece;
    bytes.remove_prefix(piece.size());
    if (head_.size() < kHeader) break;
    if (head_[0] < 0 || head_[0] >= kStreams || head_[1] != 0 || head_[2] != 0 || head_[3] != 0)
      return failure(Code::kProtocol, "the container engine sends a log that has no frames");
    for (std::size_t i = 4; i < kHeader; ++i) left_ = left_ << 8 | static_cast<unsigned char>(head_[i]);
    head_.clear();
    stamp_ = 0;
    in_stamp_ = left_ > 0;
  }
  return {};
}

Result<std::string> find_engine_socket(const std::string& configured,
                                       const std::function<std::string(const char*)>& variable,
                                       const std::function<bool(const std::string&)>& exists) {
  if (!configured.empty()) return configured;
  constexpr std::string_view kUnix = "unix://";
  if (const std::string host = variable("DOCKER_HOST"); !host.empty()) {
    if (host.starts_with(kUnix) && host.size() > kUnix.size()) return host.substr(kUnix.size());
    return failure(Code::kInvalid, "DOCKER_HOST is " + printable(host) +
                                       ", and nines speaks to an engine on this machine only: unset it, or write "
                                       "unix:///PATH, or name the socket with replicas.container.engine");
  }
  const std::string usual = "/var/run/docker.sock";
  const std::string own = variable("XDG_RUNTIME_DIR");
  std::vector<std::string> places = {usual};
  if (!own.empty()) places.push_back(own + "/docker.sock");
  places.emplace_back("/run/podman/podman.sock");
  if (!own.empty()) places.push_back(own + "/podman/podman.sock");
  const auto found = std::ranges::find_if(places, exists);
  return found != places.end() ? *found : usual;
}

Error cannot_reach_engine(const std::string& socket, Error cause) {
  const std::string what = "cannot reach the container engine at " + socket;
  if (cause.code() == Code::kNotFound)
    return {Code::kRefused, what +
                                ": there is no such socket. Start Docker (`systemctl start docker`) or Podman "
                                "(`systemctl start podman.socket`); another socket is named by DOCKER_HOST or "
                                "replicas.container.engine"};
  if (cause.code() == Code::kRefused)
    return {Code::kRefused,
            what + ": is the engine running, and may this user write to the socket (`usermod -aG docker USER`)?",
            std::move(cause)};
  const Code code = cause.code();
  return {code, what, std::move(cause)};
}

}  // namespace nines::supervise
