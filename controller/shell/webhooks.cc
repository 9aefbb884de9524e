#include "controller/shell/webhooks.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <utility>

#include "agents/http/rest_client.h"
#include "controller/core/notice.h"
#include "controller/shell/controller.h"
#include "controller/shell/store.h"
#include "policies/config_reader.h"

namespace walstitch::shell {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLook{200};
constexpr milliseconds kSettleRetry{1000};
// Decisions that are looked at to tell what an earlier run could not.
constexpr std::size_t kToldAgain = 1000;
// Written, and not durable yet.
constexpr std::size_t kMostUnsettled = 2000;
constexpr std::uint64_t kMaxAnswerBytes = 1U << 20;
constexpr std::size_t kShortestSecret = 16;

std::int64_t NowMs() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::int64_t UnixMs() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// One secret a line: while one is exchanged for another, there are two.
Result<std::vector<std::string>> ReadSecrets(const std::string& path) {
  auto content = ReadSecretFile(path);
  if (!content) return Fail(content.error());
  std::vector<std::string> secrets;
  for (std::size_t begin = 0; begin <= content->size();) {
    const std::size_t end = std::min(content->find('\n', begin), content->size());
    std::string line = content->substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) secrets.push_back(std::move(line));
    begin = end + 1;
  }
  for (const std::string& secret : secrets) {
    if (secret.size() >= kShortestSecret) continue;
    return Fail(ErrorCode::kInvalid, path + ": a secret of " + std::to_string(secret.size()) +
                                         " bytes is too short to sign with; expected at least " +
                                         std::to_string(kShortestSecret) +
                                         ", e.g. from openssl rand -hex 32");
  }
  return secrets;
}

}  // namespace

class Webhooks::Impl : public std::enable_shared_from_this<Webhooks::Impl> {
 public:
  Impl(asio::any_io_executor executor, std::string sender)
      : executor_(std::move(executor)), sender_(std::move(sender)), random_(std::random_device{}()) {}

  // Each attempt reads the files anew, so with `whatever_its_files` a bad one is only told of.
  Result<void> Add(WebhookConfig config, bool whatever_its_files) {
    auto hook = std::make_unique<Hook>(executor_, std::move(config));
    auto good = Files(*hook);
    if (!good && !whatever_its_files) return good;
    if (!good) spdlog::error("{}; nothing is delivered there until that is mended", good.error().Message());
    hooks_.push_back(std::move(hook));
    return {};
  }

  Result<void> Follow(Store& store) {
    store_ = &store;
    const std::weak_ptr<Impl> weak = weak_from_this();
    store.OnOpened([weak](const Decision& decision) {
      if (const auto self = weak.lock()) self->Written(core::NoticeOfDecision(decision));
    });
    store.OnClosed([weak](const DecisionRecord& record) {
      if (const auto self = weak.lock()) self->Written(core::NoticeOfOutcome(record));
    });
    const bool again = std::any_of(hooks_.begin(), hooks_.end(),
                                   [](const auto& hook) { return hook->config.tell_again_ms > 0; });
    if (!again) return {};
    // 1. A leader dies. 2. The next one cannot read what was decided, or a receiver's file. 3. Did it lead
    // nobody for that, no group would be failed over. So it is said, and that is all.
    auto records = store.ReadRecords("", "", kToldAgain);
    if (!records) {
      spdlog::error("webhooks: what was decided before is not told again: {}", records.error().Message());
      return {};
    }
    if (records->size() == kToldAgain)
      spdlog::warn("webhooks: of what was decided before, the last {} at most are told again", kToldAgain);
    for (const auto& hook : hooks_) {
      for (auto& notice : core::NoticesSince(*records, UnixMs(), hook->config.tell_again_ms))
        Put(*hook, notice);
    }
    return {};
  }

  void Watch(Controller& controller) {
    asio::co_spawn(executor_, Look(shared_from_this(), &controller), asio::detached);
  }

  void Stop() {
    stopped_ = true;
    for (const auto& hook : hooks_) {
      hook->timer.cancel();
      hook->client.Stop();
    }
  }

  [[nodiscard]] std::vector<WebhookCounts> Counts() const {
    std::vector<WebhookCounts> counts;
    for (const auto& hook : hooks_) {
      WebhookCounts of_hook;
      static_cast<core::DeliveryCounts&>(of_hook) = hook->deliveries.Counts();
      of_hook.name = hook->config.name;
      counts.push_back(std::move(of_hook));
    }
    return counts;
  }

 private:
  struct Hook {
    Hook(const asio::any_io_executor& executor, WebhookConfig from)
        : config(std::move(from)), client(executor, config.origin, Options()), timer(executor) {}

    static http::RestOptions Options() {
      http::RestOptions options;
      options.max_response_bytes = kMaxAnswerBytes;
      return options;
    }

    WebhookConfig config;
    http::RestClient client;
    core::Deliveries deliveries;
    asio::steady_timer timer;
    bool pumping = false;  // soon
    std::uint64_t dropped_before = 0;
  };

  static Result<void> Files(Hook& hook) {
    const std::string context = "webhook " + hook.config.name;
    if (auto secrets = ReadSecrets(hook.config.secret_file); !secrets) return Fail(secrets.error(), context);
    auto trusted = hook.config.ca_file.empty() ? hook.client.TrustSystem() : TrustFile(hook);
    if (!trusted) return Fail(trusted.error(), context);
    return {};
  }

  static Result<void> TrustFile(Hook& hook) {
    auto pem = ReadConfigFile(hook.config.ca_file);
    if (!pem) return Fail(pem.error());
    return hook.client.Trust(*pem);
  }

  // It counts for the store's readers; others are told when it is durable.
  void Written(core::Notice notice) {
    if (stopped_ || hooks_.empty()) return;
    if (unsettled_.size() >= kMostUnsettled) {
      unsettled_.pop_front();
      ++taken_;
    }
    unsettled_.push_back(std::move(notice));
    if (!settling_) Settle();
  }

  void Settle() {
    settling_ = true;
    // What is written while it is waited for is not covered.
    const std::uint64_t covered = taken_ + unsettled_.size();
    const std::weak_ptr<Impl> weak = weak_from_this();
    store_->Settle([weak, covered](Result<void> settled) {
      const auto self = weak.lock();
      if (!self) return;
      // Not within the store's own call.
      asio::post(self->executor_, [self, covered, ok = settled.has_value()] { self->Settled(covered, ok); });
    });
  }

  void Settled(std::uint64_t covered, bool ok) {
    if (stopped_) return;
    while (ok && taken_ < covered && !unsettled_.empty()) {
      for (const auto& hook : hooks_) Put(*hook, unsettled_.front());
      unsettled_.pop_front();
      ++taken_;
    }
    if (unsettled_.empty()) {
      settling_ = false;
    } else if (ok) {
      Settle();
    } else {
      asio::co_spawn(executor_, SettleLater(shared_from_this()), asio::detached);
    }
  }

  static asio::awaitable<void> SettleLater(std::shared_ptr<Impl> self) {
    co_await Wait(self->executor_, kSettleRetry);
    if (!self->stopped_) self->Settle();
  }

  static asio::awaitable<void> Wait(asio::any_io_executor executor, milliseconds time) {
    boost::system::error_code ignored;
    asio::steady_timer timer(executor, time);
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }

  void Put(Hook& hook, core::Notice notice) {
    if (!hook.config.events.contains(notice.kind)) return;
    if (notice.kind == core::NoticeKind::kFinding && notice.severity < hook.config.severity) return;
    hook.deliveries.Put(std::move(notice), NowMs());
    Pump(hook);
  }

  // Soon, so that whoever has something to tell goes on first.
  void Pump(Hook& hook) {
    if (stopped_ || std::exchange(hook.pumping, true)) return;
    asio::post(executor_, [self = shared_from_this(), &hook] {
      hook.pumping = false;
      self->SendAllDue(hook);
    });
  }

  void SendAllDue(Hook& hook) {
    if (stopped_) return;
    while (auto attempt = hook.deliveries.Next(NowMs()))
      asio::co_spawn(executor_, Send(shared_from_this(), &hook, std::move(*attempt)), asio::detached);
    const auto next_ms = hook.deliveries.NextMs();
    hook.timer.cancel();
    if (!next_ms) return;
    hook.timer.expires_after(milliseconds(std::max<std::int64_t>(*next_ms - NowMs(), 1)));
    hook.timer.async_wait([self = shared_from_this(), &hook](const boost::system::error_code& error) {
      if (!error) self->SendAllDue(hook);
    });
  }

  // `hook` lives as long as `self`.
  static asio::awaitable<void> Send(std::shared_ptr<Impl> self, Hook* hook,
                                    core::Deliveries::Attempt attempt) {
    const std::string id = attempt.id;
    auto taken = co_await Post(self, hook, std::move(attempt));
    if (self->stopped_) co_return;
    self->Note(*hook, id, taken);
    self->Pump(*hook);
  }

  static asio::awaitable<Result<http::RestResponse>> Post(std::shared_ptr<Impl> self, Hook* hook,
                                                          core::Deliveries::Attempt attempt) {
    const WebhookConfig& config = hook->config;
    auto secrets = ReadSecrets(config.secret_file);
    if (!secrets) co_return Fail(secrets.error());
    if (!config.ca_file.empty()) {
      if (auto trusted = TrustFile(*hook); !trusted) co_return Fail(trusted.error());
    }
    http::RestRequest request;
    request.method = "POST";
    request.target = config.target;
    request.timeout = milliseconds(config.timeout_ms);
    request.fields = {
        {"Walstitch-Event", std::string(core::ToString(attempt.kind))},
        {"Walstitch-Delivery", attempt.id},
        {"Walstitch-Attempt", std::to_string(attempt.number)},
        {"Walstitch-Signature", core::SignatureField(*secrets, UnixMs() / 1000, attempt.body)},
    };
    if (!self->sender_.empty()) request.fields.emplace_back("Walstitch-Sender", self->sender_);
    request.body = std::move(attempt.body);
    co_return co_await hook->client.Send(std::move(request));
  }

  void Note(Hook& hook, const std::string& id, const Result<http::RestResponse>& answer) {
    const core::DeliveryCounts before = hook.deliveries.Counts();
    const core::Taking taking = answer ? core::JudgeStatus(answer->status) : core::Taking::kAgain;
    std::string problem;
    if (!answer) {
      problem = WithoutTarget(hook, answer.error().Message());
    } else if (taking != core::Taking::kTaken) {
      problem = "the receiver answered " + std::to_string(answer->status);
    }
    const auto retry_after_ms = answer ? core::RetryAfterMs(answer->retry_after) : std::nullopt;
    const double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
    hook.deliveries.Ended(id, taking, problem, retry_after_ms, NowMs(), chance);
    const core::DeliveryCounts after = hook.deliveries.Counts();
    if (before.problem.empty() && !problem.empty()) {
      hook.dropped_before = before.dropped;
      spdlog::warn("webhook {}: {} was not delivered: {}; {}", hook.config.name, id, problem,
                   taking == core::Taking::kAgain ? "it is tried again" : "it is not tried again");
    } else if (!before.problem.empty() && problem.empty()) {
      spdlog::info("webhook {}: delivered again; {} were dropped meanwhile", hook.config.name,
                   after.dropped - hook.dropped_before);
    }
  }

  // The path may be what lets a sender in: it stands in no log.
  static std::string WithoutTarget(const Hook& hook, std::string text) {
    // Errors name it without its query.
    const std::string target = hook.config.target.substr(0, hook.config.target.find('?'));
    if (target == "/") return text;
    for (std::size_t at = 0; (at = text.find(target, at)) != std::string::npos;)
      text.replace(at, target.size(), "…");
    return text;
  }

  static asio::awaitable<void> Look(std::shared_ptr<Impl> self, Controller* controller) {
    std::map<std::string, core::GroupWatch> watches;
    while (!self->stopped_) {
      for (const auto& [name, host] : controller->Groups()) {
        const core::GroupRunner& runner = host->Runner();
        core::GroupLook look;
        look.managed = runner.State().management == core::Management::kManaged;
        look.epoch = runner.State().epoch;
        look.master = runner.State().master;
        look.findings = runner.Findings();
        look.now_ms = NowMs();
        look.unix_ms = UnixMs();
        for (const core::Notice& notice : watches.try_emplace(name, name).first->second.Look(look)) {
          for (const auto& hook : self->hooks_) self->Put(*hook, notice);
        }
      }
      co_await Wait(self->executor_, kLook);
    }
  }

  asio::any_io_executor executor_;
  std::string sender_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Hook>> hooks_;
  Store* store_ = nullptr;
  std::deque<core::Notice> unsettled_;
  std::uint64_t taken_ = 0;  // of what was ever unsettled
  bool settling_ = false;
  bool stopped_ = false;
};

Result<std::unique_ptr<Webhooks>> Webhooks::Open(asio::any_io_executor executor,
                                                 std::vector<WebhookConfig> hooks, std::string sender,
                                                 bool whatever_their_files) {
  auto impl = std::make_shared<Impl>(std::move(executor), std::move(sender));
  for (WebhookConfig& hook : hooks) {
    if (auto added = impl->Add(std::move(hook), whatever_their_files); !added)
      return Fail(ErrorCode::kInvalid, added.error().Message());
  }
  return std::unique_ptr<Webhooks>(new Webhooks(std::move(impl)));
}

Webhooks::Webhooks(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Webhooks::~Webhooks() { impl_->Stop(); }
Result<void> Webhooks::Follow(Store& store) { return impl_->Follow(store); }
void Webhooks::Watch(Controller& controller) { impl_->Watch(controller); }
void Webhooks::Stop() { impl_->Stop(); }
std::vector<WebhookCounts> Webhooks::Counts() const { return impl_->Counts(); }

}  // namespace walstitch::shell
