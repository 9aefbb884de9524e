#include "agents/agent/wal_service.h"

#include <optional>
#include <utility>

#include "agents/agent/offload.h"
#include "agents/agent/wall_clock.h"
#include "agents/wal/database_lock.h"
#include "agents/wal/filler.h"
#include "agents/wal/marker.h"
#include "agents/wal/pollupdates_source.h"

namespace walstitch::agent {

namespace asio = boost::asio;

namespace {
constexpr int kMaxWaiting = 16;

// A source that can be told to stop: a question may read a GiB, and nobody wants to wait for that at the end.
class StoppableSource : public wal::WalSource {
 public:
  StoppableSource(wal::WalSource* source, const std::atomic<bool>* stop) : source_(source), stop_(stop) {}

  Result<WalExtent> Extent() override { return source_->Extent(); }
  Result<std::optional<BatchInfo>> BatchHolding(Sequence sequence) override {
    return source_->BatchHolding(sequence);
  }
  Result<Sequence> BoundaryAtOrAfter(Sequence sequence) override {
    return source_->BoundaryAtOrAfter(sequence);
  }
  Result<void> ForEachBatch(SequenceRange range, const wal::BatchVisitor& visit) override {
    bool stopped = false;
    auto read = source_->ForEachBatch(range, [&](const wal::BatchView& batch) {
      stopped = *stop_;
      return !stopped && visit(batch);
    });
    if (stopped) return Fail(ErrorCode::kUnavailable, "the agent is stopping");
    return read;
  }

 private:
  wal::WalSource* source_;
  const std::atomic<bool>* stop_;
};

node::ClientOptions WithStop(node::ClientOptions options, const std::atomic<bool>* stop) {
  options.stop = stop;
  return options;
}
}  // namespace

WalService::WalService(std::string data_directory, node::ClientOptions client)
    : has_directory_(!data_directory.empty()),
      directory_(std::move(data_directory)),
      client_(WithStop(std::move(client), &stop_)) {
  polled_ = std::make_unique<wal::PollUpdatesSource>(
      [this](Sequence after, std::uint32_t max_batches) -> Result<wal::PolledUpdates> {
        auto updates = client_.PollUpdates(after, max_batches);
        if (!updates) return Fail(updates.error());
        return wal::PolledUpdates{updates->latest, std::move(updates->batches), updates->next};
      });
}

WalService::~WalService() { Stop(); }

void WalService::Stop() {
  stop_ = true;
  pool_.stop();
  pool_.join();
}

Result<std::string> WalService::Answer(const Question& question) {
  StoppableSource polled(polled_.get(), &stop_);
  if (!has_directory_) return question(polled);
  auto readable = directory_.CheckReadable();
  if (readable) {
    StoppableSource files(&directory_, &stop_);
    return question(files);
  }
  auto answer = question(polled);
  if (answer) return answer;
  return Fail(answer.error().Code(), "the WAL's files cannot be read (" + readable.error().Message() +
                                         "), and the server does not help: " + answer.error().Message());
}

// Looked at before and after: who opens the database in between recovers it, and what was read may be given
// up.
Result<std::string> WalService::AnswerDead(const Question& question) {
  if (!has_directory_) return Fail(ErrorCode::kUnavailable, "kvrocks.dir is not configured");
  const auto dead = [this]() -> Result<void> {
    const wal::DatabaseLock lock = wal::ExamineLock(directory_.DatabaseDirectory());
    if (lock.use == wal::DatabaseUse::kNotInUse) return {};
    if (lock.use == wal::DatabaseUse::kLive) {
      return Fail(ErrorCode::kConflict, directory_.DatabaseDirectory() + " is open (" + wal::Describe(lock) +
                                            "): it may be written to");
    }
    return Fail(ErrorCode::kUnavailable,
                directory_.DatabaseDirectory() +
                    ": it cannot be told whether a server has it open: " + wal::Describe(lock));
  };
  if (Result<void> before = dead(); !before) return Fail(before.error());
  StoppableSource files(&directory_, &stop_);
  Result<std::string> answer = question(files);
  if (Result<void> after = dead(); !after) return Fail(after.error());
  return answer;
}

asio::awaitable<Result<std::string>> WalService::Ask(Question question) {
  std::function<Result<std::string>()> work = [this, question] { return Answer(question); };
  co_return co_await Queue(std::move(work));
}

asio::awaitable<Result<std::string>> WalService::AskDead(Question question) {
  std::function<Result<std::string>()> work = [this, question] { return AnswerDead(question); };
  co_return co_await Queue(std::move(work));
}

asio::awaitable<Result<std::string>> WalService::Queue(std::function<Result<std::string>()> work) {
  if (waiting_ >= kMaxWaiting) {
    co_return Fail(ErrorCode::kUnavailable, "too many questions about the WAL wait already: ask again later");
  }
  ++waiting_;
  auto answer = co_await RunOn(pool_, std::move(work));
  --waiting_;
  co_return answer;
}

asio::awaitable<Result<WalExtent>> WalService::DirectoryExtent() {
  if (!has_directory_) co_return Fail(ErrorCode::kUnavailable, "kvrocks.dir is not configured");
  auto work = [this] { return directory_.Extent(); };
  co_return co_await RunOn(pool_, std::move(work));
}

asio::awaitable<Result<void>> WalService::CheckReadable() {
  if (!has_directory_) co_return Fail(ErrorCode::kUnavailable, "kvrocks.dir is not configured");
  auto work = [this] { return directory_.CheckReadable(); };
  co_return co_await RunOn(pool_, std::move(work));
}

asio::awaitable<Result<wal::Stay>> WalService::StayOf(Sequence sequence) {
  if (!has_directory_) co_return Fail(ErrorCode::kUnavailable, "kvrocks.dir is not configured");
  auto work = [this, sequence] { return wal::ReadStay(directory_, sequence, UnixMs()); };
  co_return co_await RunOn(pool_, std::move(work));
}

asio::awaitable<Result<std::uint64_t>> WalService::FillerIn(SequenceRange range, std::string decision,
                                                            std::chrono::milliseconds timeout) {
  std::uint64_t records = 0;
  const auto give_up = std::chrono::steady_clock::now() + timeout;
  Question question = [range, give_up, marker = wal::FillerMarker(decision),
                       &records](wal::WalSource& source) -> Result<std::string> {
    std::uint64_t count = 0;
    Result<void> decoded;
    Result<void> read = source.ForEachBatch(range, [&](const wal::BatchView& batch) {
      const Result<std::uint32_t> some = wal::CountFiller(batch.bytes, marker);
      if (!some) decoded = Fail(some.error());
      if (std::chrono::steady_clock::now() >= give_up) {
        decoded = Fail(ErrorCode::kTimeout, "reading the WAL from " + range.from.ToString() + " to " +
                                                range.to.ToString() + " for the filler takes too long");
      }
      count += some.value_or(0);
      return decoded.has_value();
    });
    if (!read) return Fail(read.error());
    if (!decoded) return Fail(decoded.error());
    records = count;
    return std::string();
  };
  auto asked = co_await Ask(std::move(question));
  if (!asked) co_return Fail(asked.error());
  co_return records;
}

asio::awaitable<Result<std::string>> WalService::MarkerAt(Sequence sequence) {
  Question question = [sequence](wal::WalSource& source) -> Result<std::string> {
    auto batch = source.BatchHolding(sequence);
    if (!batch) return Fail(batch.error());
    return *batch ? (*batch)->marker : std::string();
  };
  co_return co_await Ask(std::move(question));
}

}  // namespace walstitch::agent
