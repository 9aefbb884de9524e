#include "tests/support/pods/pod_player.h"

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "agents/http/http_client.h"
#include "tests/support/environment.h"
#include "tests/support/process.h"
#include "tests/support/redis_client.h"

namespace walstitch::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kTick{30};
constexpr milliseconds kProbe{250};  // a kubelet asks less often
constexpr milliseconds kBackoff{300};

std::string Text(const YAML::Node& node, const std::string& fallback = "") {
  return node && node.IsScalar() ? node.Scalar() : fallback;
}

// A step after the other; where one is missing, nothing.
YAML::Node At(YAML::Node node, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!node.IsDefined() || !node.IsMap() || !node[key]) return YAML::Node(YAML::NodeType::Null);
    node.reset(node[key]);
  }
  return node;
}

void WriteText(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string FromBase64(const std::string& text) {
  std::string bytes;
  unsigned value = 0;
  int bits = 0;
  for (const char c : text) {
    int digit = -1;
    if (c >= 'A' && c <= 'Z') digit = c - 'A';
    if (c >= 'a' && c <= 'z') digit = c - 'a' + 26;
    if (c >= '0' && c <= '9') digit = c - '0' + 52;
    if (c == '+') digit = 62;
    if (c == '/') digit = 63;
    if (digit < 0) continue;
    value = value << 6U | static_cast<unsigned>(digit);
    bits += 6;
    if (bits >= 8) bytes.push_back(static_cast<char>(value >> static_cast<unsigned>(bits -= 8) & 0xFFU));
  }
  return bytes;
}

bool EndsPath(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '-' && c != '.';
}

// `from` where it stands as a whole path, or as the beginning of one.
void ReplacePath(std::string* text, const std::string& from, const std::string& to) {
  for (std::size_t at = text->find(from); at != std::string::npos; at = text->find(from, at)) {
    const std::size_t end = at + from.size();
    const bool begins = at == 0 || (EndsPath((*text)[at - 1]) && (*text)[at - 1] != '/');
    if (!begins || (end < text->size() && !EndsPath((*text)[end]))) {
      at = end;
      continue;
    }
    text->replace(at, from.size(), to);
    at += to.size();
  }
}

void ReplaceAll(std::string* text, const std::string& from, const std::string& to) {
  for (std::size_t at = text->find(from); at != std::string::npos; at = text->find(from, at + to.size())) {
    text->replace(at, from.size(), to);
  }
}

// Writes a directory as a kubelet does: the files are links into ..data, which is exchanged at once.
void Mount(const fs::path& directory, const std::map<std::string, std::string>& files) {
  static std::atomic<std::uint64_t> number{0};
  const std::string version = "..version_" + std::to_string(++number);
  fs::create_directories(directory / version);
  for (const auto& [name, content] : files) {
    WriteText(directory / version / name, content);
    if (!fs::is_symlink(directory / name)) fs::create_symlink(fs::path("..data") / name, directory / name);
  }
  std::error_code none;
  const fs::path old = fs::read_symlink(directory / "..data", none);
  fs::create_symlink(version, directory / "..data_tmp");
  fs::rename(directory / "..data_tmp", directory / "..data");
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_symlink() && entry.path().filename() != "..data" && !fs::exists(entry.path()))
      fs::remove(entry.path());
  }
  if (!old.empty()) fs::remove_all(directory / old, none);
}

}  // namespace

class PodPlayer::Impl {
 public:
  explicit Impl(PodPlayerOptions options) : options_(std::move(options)) {
    std::random_device device;
    net_ = static_cast<int>(device() % 200) + 20;
    next_host_ = static_cast<int>(device() % 200) + 1;
    for (const YAML::Node& map : options_.chart.All("ConfigMap")) {
      auto& data = config_maps_[Text(map["metadata"]["name"])];
      for (const auto& item : map["data"]) data[item.first.as<std::string>()] = item.second.as<std::string>();
    }
    for (const YAML::Node& secret : options_.chart.All("Secret")) {
      auto& data = secrets_[Text(secret["metadata"]["name"])];
      for (const auto& item : secret["data"])
        data[item.first.as<std::string>()] = FromBase64(item.second.as<std::string>());
    }
    config_maps_["kube-root-ca.crt"]["ca.crt"] = options_.admin->CaPem();
  }

  ~Impl() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void Start() {
    for (const std::string& name : options_.sets) {
      const YAML::Node set = options_.chart.Get("StatefulSet", name);
      boost::json::object object = ToJson(set).as_object();
      options_.admin->Create("apps/v1", "statefulsets", object);
      Owner owner;
      owner.name = name;
      owner.set = true;
      owner.replicas = set["spec"]["replicas"].as<int>();
      owner.spec = set["spec"];
      owners_.push_back(std::move(owner));
    }
    for (const std::string& name : options_.deployments) {
      const YAML::Node deployment = options_.chart.Get("Deployment", name);
      Owner owner;
      owner.name = name;
      owner.replicas = deployment["spec"]["replicas"].as<int>();
      owner.spec = deployment["spec"];
      owners_.push_back(std::move(owner));
    }
    thread_ = std::thread([this] { Play(); });
  }

  // Runs it on the player's thread, between two looks.
  void Do(std::function<void()> call) {
    std::promise<void> done;
    auto ended = done.get_future();
    {
      std::lock_guard lock(mutex_);
      orders_.push_back([&] {
        try {
          call();
          done.set_value();
        } catch (...) {
          done.set_exception(std::current_exception());
        }
      });
    }
    ended.get();
  }

  struct Container {
    std::string name;
    YAML::Node spec;
    Process process;
    Process hook;  // preStop
    std::string output;
    std::map<std::string, std::string> paths;  // mount path -> here
    bool sidecar = false;
    bool started = false;  // its startup probe has passed
    bool ready = false;
    bool ended = false;  // of an init container: well
    std::int64_t restarts = -1;
    Clock::time_point next_probe;
    Clock::time_point not_before;
  };

  enum class Stage { kInit, kRunning, kPreStop, kStopping, kStoppingSidecars, kGone };

  struct Pod {
    std::string name;
    std::string owner;
    YAML::Node spec;
    std::string uid;
    std::string ip;
    std::string loopback;
    fs::path directory;
    std::vector<std::unique_ptr<Container>> init;  // in order, sidecars among them
    std::vector<std::unique_ptr<Container>> main;
    Stage stage = Stage::kInit;
    Clock::time_point grace_over;
    bool ready = false;
    bool registered = false;
    std::string reported;  // the status that the API has
    Clock::time_point next_look;
    std::map<std::string, std::string> labels;  // as the API has them
    bool gates_open = false;
  };

  Pod* Find(const std::string& name) {
    for (auto& pod : pods_) {
      if (pod->name == name) return pod.get();
    }
    return nullptr;
  }
  Container* Find(const std::string& pod, const std::string& container) {
    Pod* found = Find(pod);
    if (found == nullptr) return nullptr;
    for (auto* list : {&found->init, &found->main}) {
      for (auto& each : *list) {
        if (each->name == container) return each.get();
      }
    }
    return nullptr;
  }

  void Delete(const std::string& name) {
    Pod* pod = Find(name);
    if (pod == nullptr || (pod->stage != Stage::kInit && pod->stage != Stage::kRunning)) return;
    const int grace = std::stoi(Text(pod->spec["terminationGracePeriodSeconds"], "30"));
    pod->grace_over = Clock::now() + std::chrono::seconds(grace);
    pod->stage = Stage::kPreStop;
    for (auto& container : pod->main) {
      const YAML::Node hook = At(container->spec, {"lifecycle", "preStop", "exec", "command"});
      if (!hook.IsSequence() || !container->process.IsRunning()) continue;
      std::vector<std::string> command;
      for (const auto& word : hook) command.push_back(Mapped(*pod, *container, word.as<std::string>()));
      Run(*pod, *container, command, &container->hook);
    }
  }

  void Lose(const std::string& name, milliseconds away) {
    Pod* pod = Find(name);
    if (pod == nullptr) return;
    not_before_[name] = Clock::now() + away;
    for (auto* list : {&pod->init, &pod->main}) {
      for (auto& container : *list) {
        container->hook.Kill();
        container->process.Kill();
      }
    }
    pod->stage = Stage::kGone;
  }

  void Exchange(const std::string& name, const std::map<std::string, std::string>& data) {
    config_maps_[name] = data;
    for (auto& pod : pods_) {
      for (auto* list : {&pod->init, &pod->main}) {
        for (auto& container : *list) {
          for (const auto& mount : container->spec["volumeMounts"]) {
            if (mount["subPath"]) continue;  // a kubelet leaves those as they were
            const YAML::Node volume = VolumeOf(*pod, Text(mount["name"]));
            if (Text(At(volume, {"configMap", "name"})) != name) continue;
            MountFiles(*pod, *container, volume);
          }
        }
      }
    }
  }

  std::vector<Target> Endpoints(const std::string& name) const {
    const YAML::Node service = options_.chart.Get("Service", name);
    const bool not_ready = Text(service["spec"]["publishNotReadyAddresses"]) == "true";
    std::vector<Target> targets;
    std::lock_guard lock(shown_mutex_);
    for (const auto& [pod, shown] : shown_) {
      bool fits = true;
      for (const auto& label : service["spec"]["selector"]) {
        const auto found = shown.labels.find(label.first.as<std::string>());
        fits = fits && found != shown.labels.end() && found->second == label.second.as<std::string>();
      }
      if (fits && (shown.ready || not_ready)) targets.push_back({pod, shown.ip});
    }
    return targets;
  }

  struct Shown {
    std::string owner;
    std::string ip;
    bool ready = false;
    std::map<std::string, std::string> labels;
    std::string state;  // for people
  };
  mutable std::mutex shown_mutex_;
  std::map<std::string, Shown> shown_;  // what other threads may read
  std::string problem_;                 // why a pod could not be made, the last time

  std::string Mapped(const Pod& pod, const Container& container, std::string text) const {
    // Longest first: one mount may be in another's directory.
    std::vector<std::pair<std::string, std::string>> paths(container.paths.begin(), container.paths.end());
    std::sort(paths.begin(), paths.end(),
              [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    for (const auto& [from, to] : paths) ReplacePath(&text, from, to);
    ReplaceAll(&text, "127.0.0.1", pod.loopback);
    return text;
  }

  void Run(const Pod& pod, const Container& container, std::vector<std::string> command, Process* process) {
    command[0] = Program(command[0]);
    if (auto error = process->Start(command, container.output, EnvironmentOf(pod, container))) {
      throw std::runtime_error(pod.name + "/" + container.name + ": " + *error);
    }
  }

  PodPlayerOptions options_;
  std::vector<std::unique_ptr<Pod>> pods_;
  std::map<std::string, std::map<std::string, std::string>> config_maps_;
  std::map<std::string, std::map<std::string, std::string>> secrets_;
  TempDirectory directory_;

  struct Owner {
    std::string name;
    bool set = false;
    int replicas = 1;
    YAML::Node spec;
    int made = 0;  // pods of a Deployment have names of their own
  };
  std::vector<Owner> owners_;
  std::map<std::string, Clock::time_point> not_before_;  // a pod is made anew

 private:
  static std::string Program(const std::string& name) {
    if (name == "kvrocks") {
      const char* real = std::getenv("KVROCKS_BIN");
      return real != nullptr && *real != '\0' ? std::string(real) : BinaryPath("refnode");
    }
    if (name == "sh") return "/bin/sh";
    if (name.starts_with("walstitch")) return BinaryPath(name);
    return name;
  }

  std::map<std::string, std::string> EnvironmentOf(const Pod& pod, const Container& container) const {
    std::map<std::string, std::string> environment;
    const std::string url = options_.admin->Url();
    const std::string authority = url.substr(url.find("//") + 2);
    environment["KUBERNETES_SERVICE_HOST"] = authority.substr(0, authority.rfind(':'));
    environment["KUBERNETES_SERVICE_PORT"] = authority.substr(authority.rfind(':') + 1);
    for (const auto& variable : container.spec["env"]) {
      std::string value = Text(variable["value"]);
      const std::string field = Text(At(variable, {"valueFrom", "fieldRef", "fieldPath"}));
      if (field == "metadata.name") value = pod.name;
      if (field == "status.podIP") value = pod.ip;
      for (const auto& [name, earlier] : environment) ReplaceAll(&value, "$(" + name + ")", earlier);
      environment[Text(variable["name"])] = Mapped(pod, container, value);
    }
    return environment;
  }

  static YAML::Node VolumeOf(const Pod& pod, const std::string& name) {
    for (const auto& volume : pod.spec["volumes"]) {
      if (Text(volume["name"]) == name) return volume;
    }
    return YAML::Node(YAML::NodeType::Undefined);
  }

  // Of volumes that hold what somebody else wrote.
  std::map<std::string, std::string> FilesOf(const Pod& pod, const YAML::Node& source) {
    std::map<std::string, std::string> files;
    const auto take = [&](const std::map<std::string, std::string>& data, const YAML::Node& items) {
      if (!items) files.insert(data.begin(), data.end());
      for (const auto& item : items) files[Text(item["path"])] = data.at(Text(item["key"]));
    };
    if (source["configMap"])
      take(config_maps_.at(Text(source["configMap"]["name"])), source["configMap"]["items"]);
    if (source["secret"]) {
      const YAML::Node secret = source["secret"];
      take(secrets_.at(Text(secret["name"], Text(secret["secretName"]))), secret["items"]);
    }
    if (source["serviceAccountToken"]) {
      files[Text(source["serviceAccountToken"]["path"])] =
          options_.token(Text(pod.spec["serviceAccountName"]));
    }
    for (const auto& item : At(source, {"downwardAPI", "items"})) {
      files[Text(item["path"])] = options_.admin->Namespace();  // of the fields, the chart uses that one
    }
    for (const auto& each : At(source, {"projected", "sources"})) {
      for (auto& [name, content] : FilesOf(pod, each)) files[name] = content;
    }
    return files;
  }

  [[nodiscard]] fs::path MountOf(const Pod& pod, const Container& container, const YAML::Node& volume) const {
    const std::string name = Text(volume["name"]);
    if (volume["emptyDir"]) return pod.directory / "volumes" / name;
    if (volume["persistentVolumeClaim"])
      return fs::path(directory_.path()) / "claims" /
             Text(At(volume, {"persistentVolumeClaim", "claimName"}));
    return pod.directory / container.name / name;
  }

  void MountFiles(const Pod& pod, const Container& container, const YAML::Node& volume) {
    auto files = FilesOf(pod, volume);
    for (auto& [name, content] : files) content = Mapped(pod, container, content);
    Mount(MountOf(pod, container, volume), files);
  }

  void MountAll(Pod& pod, Container& container) {
    std::vector<YAML::Node> to_fill;
    for (const auto& mount : container.spec["volumeMounts"]) {
      const std::string name = Text(mount["name"]);
      const YAML::Node volume = VolumeOf(pod, name);
      fs::path here;
      if (!volume.IsDefined() || volume.IsNull()) {  // a claim of the StatefulSet's templates
        here = fs::path(directory_.path()) / "claims" / (name + "-" + pod.name);
        fs::create_directories(here);
      } else {
        here = MountOf(pod, container, volume);
        fs::create_directories(here);
        if (!volume["emptyDir"] && !volume["persistentVolumeClaim"]) to_fill.push_back(volume);
      }
      const std::string sub_path = Text(mount["subPath"]);
      container.paths[Text(mount["mountPath"])] = (sub_path.empty() ? here : here / sub_path).string();
    }
    // Filled when all paths are known, for they stand in the files.
    for (const YAML::Node& volume : to_fill) MountFiles(pod, container, volume);
  }

  std::unique_ptr<Container> Make(Pod& pod, const YAML::Node& spec, bool init) {
    auto container = std::make_unique<Container>();
    container->name = Text(spec["name"]);
    container->spec = spec;
    container->sidecar = init && Text(spec["restartPolicy"]) == "Always";
    container->output = (pod.directory / (container->name + ".log")).string();
    MountAll(pod, *container);
    return container;
  }

  void Launch(Pod& pod, Container& container) {
    const auto environment = EnvironmentOf(pod, container);
    std::vector<std::string> command;
    for (const char* part : {"command", "args"}) {
      for (const auto& word : container.spec[part]) {
        std::string text = word.as<std::string>();
        for (const auto& [name, value] : environment) ReplaceAll(&text, "$(" + name + ")", value);
        command.push_back(Mapped(pod, container, text));
      }
    }
    container.started = container.ready = false;
    container.next_probe = Clock::now();
    ++container.restarts;
    Run(pod, container, command, &container.process);
  }

  void MakePod(Owner& owner, const std::string& name) {
    auto pod = std::make_unique<Pod>();
    pod->name = name;
    pod->owner = owner.name;
    pod->spec = owner.spec["template"]["spec"];
    const int host = next_host_;
    next_host_ = host % 250 + 1;
    pod->ip = "127." + std::to_string(net_) + "." + std::to_string(host) + ".2";
    pod->loopback = "127." + std::to_string(net_) + "." + std::to_string(host) + ".1";
    pod->directory = fs::path(directory_.path()) / "pods" / (name + "-" + std::to_string(++pod_number_));
    fs::create_directories(pod->directory);

    const YAML::Node metadata = owner.spec["template"]["metadata"];
    boost::json::object object{{"apiVersion", "v1"}, {"kind", "Pod"}};
    boost::json::object about{{"name", name}, {"namespace", options_.admin->Namespace()}};
    about["labels"] = ToJson(metadata["labels"]);
    if (metadata["annotations"]) about["annotations"] = ToJson(metadata["annotations"]);
    if (owner.set) {
      const auto set = options_.admin->Get("apps/v1", "statefulsets", owner.name);
      about["ownerReferences"] =
          boost::json::array{boost::json::object{{"apiVersion", "apps/v1"},
                                                 {"kind", "StatefulSet"},
                                                 {"name", owner.name},
                                                 {"uid", set->at("metadata").at("uid")},
                                                 {"controller", true}}};
    }
    object["metadata"] = std::move(about);
    // Of the spec only what the product reads: a real server would want every field to fit every other.
    boost::json::object spec;
    spec["containers"] = boost::json::array{boost::json::object{{"name", "played"}, {"image", "played"}}};
    if (pod->spec["readinessGates"]) spec["readinessGates"] = ToJson(pod->spec["readinessGates"]);
    object["spec"] = std::move(spec);
    options_.admin->Delete("core", "pods", name);
    const boost::json::object stored = options_.admin->Create("core", "pods", object);
    pod->uid = std::string(stored.at("metadata").at("uid").as_string());
    for (const auto& container : pod->spec["initContainers"])
      pod->init.push_back(Make(*pod, container, true));
    for (const auto& container : pod->spec["containers"]) pod->main.push_back(Make(*pod, container, false));
    Report(*pod);
    pods_.push_back(std::move(pod));
  }

  void Report(Pod& pod) {
    boost::json::array conditions;
    conditions.push_back(boost::json::object{{"type", "Ready"}, {"status", pod.ready ? "True" : "False"}});
    const bool runs = pod.stage != Stage::kInit;
    boost::json::object status{
        {"phase", runs ? "Running" : "Pending"}, {"podIP", pod.ip}, {"conditions", conditions}};
    const std::string text = boost::json::serialize(status);
    if (text == pod.reported) return;
    try {
      options_.admin->Patch("core", "pods", pod.name, {{"status", std::move(status)}}, "status", true);
      pod.reported = text;
    } catch (const std::exception&) {
      // The API server is away: a kubelet tries again, too.
    }
  }

  // Labels and gates as the API has them.
  void Look(Pod& pod) {
    if (Clock::now() < pod.next_look) return;
    pod.next_look = Clock::now() + milliseconds(100);
    try {
      const auto object = options_.admin->Get("core", "pods", pod.name);
      if (!object || object->at("metadata").at("uid").as_string() != pod.uid) return;
      pod.labels.clear();
      if (const auto* labels = object->at("metadata").as_object().if_contains("labels")) {
        for (const auto& [name, value] : labels->as_object())
          pod.labels[std::string(name)] = std::string(value.as_string());
      }
      pod.gates_open = true;
      for (const auto& gate : pod.spec["readinessGates"]) {
        bool open = false;
        for (const auto& condition : object->at("status").at("conditions").as_array()) {
          const auto& fields = condition.as_object();
          open = open || (fields.at("type").as_string() == Text(gate["conditionType"]) &&
                          fields.at("status").as_string() == "True");
        }
        pod.gates_open = pod.gates_open && open;
      }
    } catch (const std::exception&) {
    }
  }

  static int PortOf(const Container& container, const YAML::Node& port) {
    const std::string text = Text(port);
    for (const auto& each : container.spec["ports"]) {
      if (Text(each["name"]) == text) return each["containerPort"].as<int>();
    }
    return std::atoi(text.c_str());
  }

  static bool Probe(const Pod& pod, const Container& container, const YAML::Node& probe) {
    if (const YAML::Node get = probe["httpGet"]) {
      const auto answer =
          http::FetchBlocking(http::Url{pod.ip, std::to_string(PortOf(container, get["port"]))}, "GET",
                              Text(get["path"]), "", "", milliseconds(1000));
      return answer && answer->status >= 200 && answer->status < 400;
    }
    if (const YAML::Node socket = probe["tcpSocket"]) {
      return RedisClient(static_cast<std::uint16_t>(PortOf(container, socket["port"])), pod.ip,
                         milliseconds(1000))
          .IsConnected();
    }
    return true;
  }

  void ProbeIt(const Pod& pod, Container& container) {
    if (!container.process.IsRunning() || Clock::now() < container.next_probe) return;
    container.next_probe = Clock::now() + kProbe;
    if (!container.started) {
      container.started =
          !container.spec["startupProbe"] || Probe(pod, container, container.spec["startupProbe"]);
      if (!container.started) return;
    }
    container.ready =
        !container.spec["readinessProbe"] || Probe(pod, container, container.spec["readinessProbe"]);
  }

  void KeepRunning(Pod& pod, Container& container) {
    if (container.process.IsRunning()) return ProbeIt(pod, container);
    container.started = container.ready = false;
    if (container.restarts < 0) return Launch(pod, container);
    if (container.not_before == Clock::time_point()) container.not_before = Clock::now() + kBackoff;
    if (Clock::now() < container.not_before) return;
    container.not_before = {};
    Launch(pod, container);
  }

  void Init(Pod& pod) {
    for (auto& container : pod.init) {
      if (container->sidecar) {
        KeepRunning(pod, *container);
        if (!container->started) return;
        continue;
      }
      if (container->ended) continue;
      if (container->process.IsRunning()) return;
      if (container->restarts >= 0 && container->process.ExitStatus() == 0) {
        container->ended = true;
        continue;
      }
      KeepRunning(pod, *container);
      return;
    }
    pod.stage = Stage::kRunning;
  }

  void Running(Pod& pod) {
    bool ready = true;
    for (auto& container : pod.init) {
      if (!container->sidecar) continue;
      KeepRunning(pod, *container);
      ready = ready && container->ready;
    }
    for (auto& container : pod.main) {
      KeepRunning(pod, *container);
      ready = ready && container->ready;
    }
    pod.ready = ready && pod.gates_open;
  }

  void End(Pod& pod) {
    if (pod.stage == Stage::kInit || pod.stage == Stage::kRunning) return;
    const bool over = Clock::now() >= pod.grace_over;
    pod.ready = false;
    for (auto& container : pod.init) {
      // A sidecar goes on until the others have ended.
      if (container->sidecar && pod.stage != Stage::kStoppingSidecars) KeepRunning(pod, *container);
    }
    switch (pod.stage) {
      case Stage::kPreStop:
        for (auto& container : pod.main) {
          if (container->hook.IsRunning() && !over) return;
        }
        for (auto& container : pod.main) {
          container->hook.Kill();
          container->process.Signal(SIGTERM);
        }
        pod.stage = Stage::kStopping;
        return;
      case Stage::kStopping:
        for (auto& container : pod.main) {
          if (container->process.IsRunning() && !over) return;
        }
        for (auto& container : pod.main) container->process.Kill();
        for (auto& container : pod.init) container->process.Signal(SIGTERM);
        pod.stage = Stage::kStoppingSidecars;
        return;
      case Stage::kStoppingSidecars:
        for (auto& container : pod.init) {
          if (container->process.IsRunning() && !over) return;
        }
        for (auto& container : pod.init) container->process.Kill();
        pod.stage = Stage::kGone;
        return;
      case Stage::kInit:
      case Stage::kRunning:
      case Stage::kGone:
        return;
    }
  }

  void Own() {
    for (Owner& owner : owners_) {
      std::set<std::string> wanted;
      int there = 0;
      for (const auto& pod : pods_) there += pod->owner == owner.name && !owner.set ? 1 : 0;
      if (owner.set) {
        for (int at = 0; at < owner.replicas; ++at) {
          const std::string name = owner.name + "-" + std::to_string(at);
          if (Find(name) == nullptr && Clock::now() >= not_before_[name]) MakePod(owner, name);
        }
        for (const auto& pod : pods_) {
          const bool beyond = pod->owner == owner.name &&
                              std::stoi(pod->name.substr(owner.name.size() + 1)) >= owner.replicas;
          if (beyond) Delete(pod->name);
        }
      } else {
        for (; there < owner.replicas; ++there) {
          MakePod(owner, owner.name + "-pod" + std::to_string(++owner.made));
        }
      }
    }
  }

  static std::string StateOf(const Pod& pod) {
    std::string state = "stage " + std::to_string(static_cast<int>(pod.stage)) +
                        (pod.gates_open ? ", gates open" : ", gates closed");
    for (const auto* list : {&pod.init, &pod.main}) {
      for (const auto& container : *list) {
        state += ", " + container->name + (container->started ? " started" : "") +
                 (container->ready ? " ready" : "") + " (" + std::to_string(container->restarts) +
                 " restarts)";
      }
    }
    return state;
  }

  void Play() {
    while (!stop_) {
      std::deque<std::function<void()>> orders;
      {
        std::lock_guard lock(mutex_);
        orders.swap(orders_);
      }
      for (auto& order : orders) order();
      try {
        Own();
      } catch (const std::exception& problem) {
        // The API server is away: so is the controller of StatefulSets.
        std::lock_guard lock(shown_mutex_);
        problem_ = problem.what();
      }
      for (auto& pod : pods_) {
        if (pod->stage == Stage::kInit) Init(*pod);
        if (pod->stage == Stage::kRunning) Running(*pod);
        End(*pod);
        if (pod->stage == Stage::kGone) continue;
        Look(*pod);
        Report(*pod);
      }
      for (auto& pod : pods_) {
        if (pod->stage != Stage::kGone) continue;
        try {
          options_.admin->Delete("core", "pods", pod->name);
        } catch (const std::exception&) {
        }
      }
      std::erase_if(pods_, [](const auto& pod) { return pod->stage == Stage::kGone; });
      {
        std::lock_guard lock(shown_mutex_);
        shown_.clear();
        for (const auto& pod : pods_) {
          shown_[pod->name] = {pod->owner, pod->ip, pod->ready, pod->labels, StateOf(*pod)};
        }
      }
      std::this_thread::sleep_for(kTick);
    }
    pods_.clear();  // on the thread that started their processes
  }

  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::deque<std::function<void()>> orders_;
  std::thread thread_;
  int net_ = 0;
  int next_host_ = 0;
  int pod_number_ = 0;
};

PodPlayer::PodPlayer(PodPlayerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
PodPlayer::~PodPlayer() = default;
void PodPlayer::Start() { impl_->Start(); }

void PodPlayer::DeletePod(const std::string& pod) {
  impl_->Do([&] { impl_->Delete(pod); });
}

void PodPlayer::LosePod(const std::string& pod, milliseconds away) {
  impl_->Do([&] { impl_->Lose(pod, away); });
}

bool PodPlayer::Roll(const std::string& set, milliseconds patience) {
  const std::vector<std::string> pods = Pods(set);
  for (auto pod = pods.rbegin(); pod != pods.rend(); ++pod) {
    const std::string before = IpOf(*pod);
    DeletePod(*pod);
    const bool back =
        Eventually(patience, [&] { return IpOf(*pod) != before && !IpOf(*pod).empty() && IsReady(*pod); });
    if (!back) return false;
  }
  return true;
}

void PodPlayer::KillContainer(const std::string& pod, const std::string& container) {
  impl_->Do([&] {
    if (auto* found = impl_->Find(pod, container)) found->process.Kill();
  });
}

void PodPlayer::SignalContainer(const std::string& pod, const std::string& container, int signal) {
  impl_->Do([&] {
    if (auto* found = impl_->Find(pod, container)) found->process.Signal(signal);
  });
}

void PodPlayer::Scale(const std::string& set, int replicas) {
  impl_->Do([&] {
    impl_->options_.admin->Patch("apps/v1", "statefulsets", set,
                                 {{"spec", boost::json::object{{"replicas", replicas}}}});
    for (auto& owner : impl_->owners_) {
      if (owner.name == set) owner.replicas = replicas;
    }
  });
}

void PodPlayer::UpdateConfigMap(const std::string& name, const std::map<std::string, std::string>& data) {
  impl_->Do([&] { impl_->Exchange(name, data); });
}

std::vector<std::string> PodPlayer::Pods(const std::string& owner) const {
  std::vector<std::string> names;
  std::lock_guard lock(impl_->shown_mutex_);
  for (const auto& [name, shown] : impl_->shown_) {
    if (shown.owner == owner) names.push_back(name);
  }
  return names;
}

std::string PodPlayer::IpOf(const std::string& pod) const {
  std::lock_guard lock(impl_->shown_mutex_);
  const auto found = impl_->shown_.find(pod);
  return found == impl_->shown_.end() ? std::string() : found->second.ip;
}

bool PodPlayer::IsReady(const std::string& pod) const {
  std::lock_guard lock(impl_->shown_mutex_);
  const auto found = impl_->shown_.find(pod);
  return found != impl_->shown_.end() && found->second.ready;
}

std::int64_t PodPlayer::RestartsOf(const std::string& pod, const std::string& container) const {
  std::int64_t restarts = -1;
  impl_->Do([&] {
    if (auto* found = impl_->Find(pod, container)) restarts = found->restarts;
  });
  return restarts;
}

std::vector<PodPlayer::Target> PodPlayer::Endpoints(const std::string& service) const {
  return impl_->Endpoints(service);
}

std::string PodPlayer::OutputOf(const std::string& pod, const std::string& container) const {
  std::string text;
  impl_->Do([&] {
    if (auto* found = impl_->Find(pod, container)) text = ReadText(found->output);
  });
  return text;
}

std::string PodPlayer::Logs(std::size_t bytes_of_each) const {
  std::string logs;
  {
    std::lock_guard lock(impl_->shown_mutex_);
    if (!impl_->problem_.empty()) logs += "---- the player: " + impl_->problem_ + "\n";
    for (const auto& [name, shown] : impl_->shown_) logs += "---- " + name + ": " + shown.state + "\n";
  }
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(impl_->directory_.path()) / "pods")) {
    if (entry.path().extension() != ".log") continue;
    std::string text = ReadText(entry.path());
    if (text.size() > bytes_of_each) text = "…" + text.substr(text.size() - bytes_of_each);
    logs += "---- " + entry.path().parent_path().filename().string() + "/" +
            entry.path().filename().string() + "\n" + text + "\n";
  }
  return logs;
}

PodPlayer::Output PodPlayer::Exec(const std::string& pod, const std::string& container,
                                  std::vector<std::string> command) {
  static std::atomic<int> calls{0};
  const std::string file = impl_->directory_.path() + "/exec-" + std::to_string(++calls);
  Output output;
  impl_->Do([&] {
    auto* found = impl_->Find(pod, container);
    if (found == nullptr) return;
    const auto* its_pod = impl_->Find(pod);
    for (auto& word : command) word = impl_->Mapped(*its_pod, *found, word);
    Impl::Container like;  // prints elsewhere
    like.name = found->name;
    like.spec = found->spec;
    like.paths = found->paths;
    like.output = file;
    Process process;
    impl_->Run(*its_pod, like, command, &process);
    process.Wait(std::chrono::seconds(20));
    output.exit_code = process.ExitStatus().value_or(-1);
    output.text = ReadText(file);
  });
  return output;
}

}  // namespace walstitch::test
