#include "tests/support/sentinel_writer.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace walstitch::test {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPython = "/usr/bin/python3";  // Debian's, which sees Debian's modules

const std::string kScripts = std::string(WALSTITCH_SOURCE_DIR) + "/tests/clients";
const std::string kModules = std::string(WALSTITCH_SOURCE_DIR) + "/build/clients/node_modules";

std::string NodeBinary() {
  for (const char* path : {"/usr/bin/node", "/usr/bin/nodejs", "/usr/local/bin/node"}) {
    if (fs::exists(path)) return path;
  }
  return "";
}

// What a command prints; empty: it failed.
std::string OutputOf(const std::vector<std::string>& command,
                     const std::map<std::string, std::string>& environment) {
  const TempDirectory directory;
  const std::string file = directory.path() + "/output";
  Process process;
  if (process.Start(command, file, environment)) return "";
  if (!process.Wait(std::chrono::seconds(20)) || process.ExitStatus() != 0) return "";
  std::ifstream stream(file);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

const char* ToString(ClientLibrary library) {
  return library == ClientLibrary::kRedisPy ? "redis-py" : "ioredis";
}

std::string VersionOf(ClientLibrary library) {
  std::string version;
  if (library == ClientLibrary::kRedisPy) {
    if (fs::exists(kPython))
      version = OutputOf({kPython, "-c", "import redis; print(redis.__version__)"}, {});
  } else if (const std::string node = NodeBinary(); !node.empty()) {
    version = OutputOf({node, "-e", "console.log(require('ioredis/package.json').version)"},
                       {{"NODE_PATH", kModules}});
  }
  return version.empty() ? "" : std::string(ToString(library)) + " " + version;
}

std::int64_t SentinelWriter::NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::optional<std::string> SentinelWriter::Start(const WriterTarget& target) {
  prefix_ = target.prefix;
  std::string sentinels;
  for (const uint16_t port : target.sentinels)
    sentinels += (sentinels.empty() ? "" : ",") + ("127.0.0.1:" + std::to_string(port));
  std::vector<std::string> command;
  if (library_ == ClientLibrary::kRedisPy) {
    command = {kPython, kScripts + "/writer.py"};
  } else {
    command = {NodeBinary(), kScripts + "/writer.js"};
  }
  for (const std::string& word : {target.group, sentinels, target.prefix, target.token, target.password})
    command.push_back(word);
  return process_.Start(command, Output(), {{"NODE_PATH", kModules}});
}

void SentinelWriter::Read() {
  std::ifstream file(Output(), std::ios::binary);
  file.seekg(static_cast<std::streamoff>(read_));
  const std::string more{std::istreambuf_iterator<char>(file), {}};
  read_ += more.size();
  rest_ += more;
  std::size_t at = 0;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', at)) {
    const std::string text = rest_.substr(at, end - at);
    at = end + 1;
    std::istringstream line(text);
    std::string what;
    Ack ack;
    line >> what >> ack.begin_us >> ack.end_us;
    if (what == "ack" && line >> ack.port >> ack.number) {
      acks_.push_back(ack);
    } else {
      ++errors_;
      last_error_ = text;
    }
  }
  rest_.erase(0, at);
}

const std::vector<SentinelWriter::Ack>& SentinelWriter::Acks() {
  Read();
  return acks_;
}

std::uint64_t SentinelWriter::Errors() {
  Read();
  return errors_;
}

std::optional<SentinelWriter::Ack> SentinelWriter::FirstAckOn(uint16_t port, std::int64_t since_us) {
  for (const Ack& ack : Acks()) {
    if (ack.port == port && ack.end_us >= since_us) return ack;
  }
  return std::nullopt;
}

std::optional<SentinelWriter::Ack> SentinelWriter::LastAckOn(uint16_t port) {
  const auto& acks = Acks();
  for (auto ack = acks.rbegin(); ack != acks.rend(); ++ack) {
    if (ack->port == port) return *ack;
  }
  return std::nullopt;
}

}  // namespace walstitch::test
