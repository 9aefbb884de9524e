// Evidence gathered over HTTP from two agents' APIs, whose WALs are lists of batches in memory.
#include "controller/shell/evidence_collector.h"

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "agents/agent/api.h"
#include "agents/http/http_server.h"
#include "agents/wal/batch_decoder.h"

namespace walstitch::shell {
namespace {

namespace asio = boost::asio;

// Batches of one SET each, from sequence 1 on.
class MemoryWal : public wal::WalSource {
 public:
  MemoryWal& Set(int times, const std::string& key, const std::string& value) {
    for (int i = 0; i < times; ++i) {
      const std::uint64_t first = batches_.size() + 1;
      std::string bytes;
      for (int k = 0; k < 8; ++k) bytes.push_back(static_cast<char>(first >> (8 * k)));
      bytes += std::string("\x01\0\0\0\x05\x01", 6);
      wal::PutLengthPrefixed(&bytes, "\x0b__namespace" + key);
      wal::PutLengthPrefixed(&bytes, std::string("\x01\0\0\0\0\0\0\0\0", 9) + value);
      batches_.push_back(bytes);
    }
    return *this;
  }
  MemoryWal& Purge(std::uint64_t up_to) {
    oldest_ = Sequence(up_to + 1);
    return *this;
  }
  [[nodiscard]] Sequence Last() const { return Sequence(batches_.size()); }

  Result<WalExtent> Extent() override {
    WalExtent extent;
    extent.oldest = oldest_;
    extent.last = Last();
    extent.bytes = 100 * batches_.size();
    extent.source = "files";
    return extent;
  }
  Result<void> ForEachBatch(SequenceRange range, const wal::BatchVisitor& visit) override {
    if (damaged_) return Fail(ErrorCode::kDamaged, "000012.log, offset 7: checksum mismatch");
    if (range.from > Last() + 1) return Fail(ErrorCode::kNotFound, "beyond the last sequence");
    if (range.from < oldest_) return Fail(ErrorCode::kNotFound, "it is purged");
    for (Sequence first = range.from; first < range.to && first <= Last(); first = first + 1) {
      if (!visit({first, 1, batches_[first.Value() - 1]})) break;
    }
    return {};
  }

  bool damaged_ = false;

 private:
  std::vector<std::string> batches_;
  Sequence oldest_{1};
};

// An agent that answers about its WAL, and notes what it was asked.
class Agent : public agent::ApiBackend {
 public:
  explicit Agent(const asio::any_io_executor& executor)
      : server_(executor, http::ServerOptions{}, [this](http::Request request) {
          asked_.push_back(request);
          return agent::HandleRequest(this, std::move(request));
        }) {
    auto started = server_.Start();
    EXPECT_TRUE(started) << started.error().Message();
  }
  void Stop() { server_.Stop(); }
  [[nodiscard]] std::string Identity() const override { return "shop/" + name_; }
  asio::awaitable<std::string> Metrics() override { co_return ""; }
  AgentClient Client(const std::string& name) {
    name_ = name;
    return AgentClient("shop", name, {"127.0.0.1", std::to_string(server_.Port())}, "");
  }
  Report ReportOf(const std::string& name) {
    Report report;
    report.node = name;
    report.last = wal_.Last();
    return report;
  }
  [[nodiscard]] std::vector<std::string> KeysAskedWith() const {
    std::vector<std::string> keys;
    for (const auto& request : asked_) {
      if (request.query.contains("key")) keys.push_back(request.query.at("key"));
    }
    return keys;
  }

  Report CurrentReport() override { return {}; }
  asio::awaitable<Report> FreshReport() override { co_return Report{}; }
  asio::awaitable<Result<CommandResult>> Submit(Command) override {
    co_return Fail(ErrorCode::kConflict, "no commands here");
  }
  asio::awaitable<Result<std::string>> AskWal(agent::WalService::Question question) override {
    co_return question(wal_);
  }
  asio::awaitable<Result<std::string>> AskDeadWal(agent::WalService::Question) override {
    co_return Fail(ErrorCode::kConflict, "nobody is dead here");
  }
  asio::awaitable<Result<wal::Stay>> AskStay(Sequence) override {
    co_return Fail(ErrorCode::kNotFound, "nothing is purged here");
  }
  asio::awaitable<Result<agent::UpstreamRole>> AskUpstreamRole() override {
    co_return Fail(ErrorCode::kConflict, "nobody is followed here");
  }
  asio::awaitable<PromiseAnswer> Promise(PromiseRequest) override { co_return PromiseAnswer{}; }
  asio::awaitable<http::Response> HandleSalvage(http::Request) override {
    co_return http::JsonError(404, "no salvages here");
  }
  asio::awaitable<Result<UndoEvidence>> PlanUndo(UndoQuestion question) override {
    undo_asked_ = question;
    co_return undo_;
  }
  asio::awaitable<Result<WrittenAnswer>> Written(WrittenQuestion) override { co_return WrittenAnswer{}; }
  asio::awaitable<Result<ValuesAnswer>> Values(KeysQuestion) override { co_return ValuesAnswer{}; }
  asio::awaitable<Result<RepairableAnswer>> Repairable(KeysQuestion) override {
    co_return RepairableAnswer{};
  }
  [[nodiscard]] bool SlotEncoded() const override { return false; }

  MemoryWal wal_;
  Result<UndoEvidence> undo_ = Fail(ErrorCode::kConflict, "the tail holds a FLUSHDB");
  std::optional<UndoQuestion> undo_asked_;
  std::vector<http::Request> asked_;

 private:
  std::string name_;
  http::Server server_;
};

class EvidenceCollectorTest : public testing::Test {
 protected:
  Evidence Collect(const core::KnownHistory& known = {}) {
    std::optional<Evidence> evidence;
    asio::co_spawn(context_,
                   CollectEvidence({rejoiner_.Client("n1"), rejoiner_.ReportOf("n1"), survivor_.Client("n2"),
                                    survivor_.ReportOf("n2"), known, limits_, lenders_, no_lenders_}),
                   [&](std::exception_ptr broken, Evidence collected) {
                     EXPECT_FALSE(broken);
                     evidence = std::move(collected);
                   });
    while (!evidence && context_.run_one() > 0) {
    }
    return evidence.value_or(Evidence{});
  }
  void TearDown() override {
    rejoiner_.Stop();
    survivor_.Stop();
    lender_.Stop();
    context_.run();
  }

  PolicyLimits limits_ = [] {
    PolicyLimits limits;
    limits.undo_scan_bytes = 0;
    return limits;
  }();
  asio::io_context context_{1};
  Agent rejoiner_{context_.get_executor()};
  Agent survivor_{context_.get_executor()};
  Agent lender_{context_.get_executor()};
  std::vector<LenderRequest> lenders_;
  std::string no_lenders_;
};

// n1 was away, and n2's WAL begins behind where it stands; n3's reaches back.
class BorrowTest : public EvidenceCollectorTest {
 protected:
  BorrowTest() {
    rejoiner_.wal_.Set(100, "common", "1");
    survivor_.wal_.Set(300, "common", "1").Purge(200);
    lender_.wal_.Set(300, "common", "1");
    core::LenderOffer offer;
    offer.report = lender_.ReportOf("n3");
    offer.agent = "http://n3";
    offer.shares_from = Sequence(1);
    offer.with_rejoiner.same_stream = true;
    lenders_ = {{lender_.Client("n3"), offer}};
    known_.same_stream = true;
  }
  core::KnownHistory known_;
};

TEST_F(BorrowTest, WhoLendsWhatThePurgedWalLacksIsEvidence) {
  const Evidence evidence = Collect(known_);
  ASSERT_TRUE(evidence.borrow) << evidence.borrow_note;
  EXPECT_EQ(evidence.borrow->lender, "n3");
  EXPECT_EQ(evidence.borrow->range, (SequenceRange{Sequence(101), Sequence(251)}));
  EXPECT_EQ(evidence.borrow->bytes, 15000U);
  EXPECT_EQ(evidence.fork, Sequence(100));
  EXPECT_EQ(evidence.proof, ForkProof::kEqualBatches);
  EXPECT_FALSE(evidence.target);
  EXPECT_FALSE(evidence.expected_to_come);
}

TEST_F(BorrowTest, NobodyIsAskedWhereTheSurvivorsWalReaches) {
  survivor_.wal_.Purge(100);
  const Evidence evidence = Collect(known_);
  EXPECT_EQ(evidence.target, Sequence(101));
  EXPECT_FALSE(evidence.borrow);
  EXPECT_TRUE(lender_.asked_.empty());
}

TEST_F(BorrowTest, ALenderThatIsNotHeardMayAnswerLater) {
  lenders_.front().client = AgentClient("shop", "n3", {"127.0.0.1", "1"}, "");
  const Evidence evidence = Collect(known_);
  EXPECT_FALSE(evidence.borrow);
  EXPECT_TRUE(evidence.lender_unheard);
  EXPECT_NE(evidence.borrow_note.find("n3"), std::string::npos) << evidence.borrow_note;
}

TEST_F(BorrowTest, TheNextIsAskedWhereTheFirstCannotLend) {
  lenders_.insert(lenders_.begin(), lenders_.front());
  lenders_.front().client = survivor_.Client("n4");  // its WAL begins as late
  lenders_.front().offer.report.node = "n4";
  const Evidence evidence = Collect(known_);
  ASSERT_TRUE(evidence.borrow) << evidence.borrow_note;
  EXPECT_EQ(evidence.borrow->lender, "n3");
}

TEST_F(BorrowTest, WhyNobodyMayLendIsKept) {
  lenders_.clear();
  no_lenders_ = "no other node is in service";
  EXPECT_EQ(Collect(known_).borrow_note, "no other node is in service");
}

TEST_F(EvidenceCollectorTest, ThousandsOfBatchesWithoutARecordTakeFewQuestions) {
  rejoiner_.wal_.Set(5000, "common", "1").Set(3, "tail", "1");
  survivor_.wal_.Set(5000, "common", "1").Set(7, "missed", "1");
  const Evidence evidence = Collect();
  EXPECT_TRUE(evidence.missing.empty()) << evidence.missing.front();
  EXPECT_EQ(evidence.fork, Sequence(5000)) << evidence.fork_note;
  EXPECT_EQ(evidence.proof, ForkProof::kEqualBatches);
  EXPECT_EQ(evidence.target, Sequence(5004));
  ASSERT_TRUE(evidence.tail && evidence.missed);
  EXPECT_EQ(evidence.tail->records, 3U);
  EXPECT_EQ(evidence.missed->records, 3U);
  EXPECT_LE(rejoiner_.asked_.size(), 5U);
}

TEST_F(EvidenceCollectorTest, BothSidesGetTheSameKeyAndEveryQuestionAnother) {
  rejoiner_.wal_.Set(30000, "common", "1").Set(30000, "tail", "1");
  survivor_.wal_.Set(30000, "common", "1").Set(30000, "missed", "1");
  EXPECT_EQ(Collect().fork, Sequence(30000));
  const auto keys = rejoiner_.KeysAskedWith();
  EXPECT_EQ(survivor_.KeysAskedWith(), keys);
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_NE(keys[0], keys[1]);
}

TEST_F(EvidenceCollectorTest, ADamagedWalIsMissingEvidence) {
  rejoiner_.wal_.Set(5000, "common", "1");
  survivor_.wal_.Set(5000, "common", "1");
  survivor_.wal_.damaged_ = true;
  const Evidence evidence = Collect();
  EXPECT_FALSE(evidence.fork);
  ASSERT_FALSE(evidence.missing.empty());
  EXPECT_EQ(evidence.missing.front(), "the fork: agent of n2: 000012.log, offset 7: checksum mismatch");
  EXPECT_FALSE(evidence.expected_to_come);
}

TEST_F(EvidenceCollectorTest, WhetherATailCanBeTakenBackIsAskedOnlyWhereThePolicyWantsIt) {
  rejoiner_.wal_.Set(10, "common", "1").Set(3, "tail", "1");
  survivor_.wal_.Set(10, "common", "1").Set(7, "missed", "1");
  Evidence evidence = Collect();
  EXPECT_FALSE(rejoiner_.undo_asked_);
  EXPECT_NE(evidence.undo_note.find("limits.undoScan"), std::string::npos) << evidence.undo_note;
  limits_.undo_scan_bytes = 1000;
  evidence = Collect();
  ASSERT_TRUE(rejoiner_.undo_asked_);
  EXPECT_EQ(rejoiner_.undo_asked_->fork, Sequence(10));
  EXPECT_EQ(rejoiner_.undo_asked_->last, Sequence(13));
  EXPECT_EQ(rejoiner_.undo_asked_->scan_bytes, 1000U);
  EXPECT_EQ(rejoiner_.undo_asked_->survivor, survivor_.Client("n2").Url());
  EXPECT_FALSE(evidence.undo);
  EXPECT_EQ(evidence.undo_note, "agent of n1: the tail holds a FLUSHDB");
}

TEST_F(EvidenceCollectorTest, AnUndoThatDoesNotNameItsKeysIsLeftOut) {
  rejoiner_.wal_.Set(10, "common", "1").Set(3, "tail", "1");
  survivor_.wal_.Set(10, "common", "1").Set(7, "missed", "1");
  limits_.undo_scan_bytes = 1000;
  UndoEvidence undo;
  undo.digest = "d1";
  undo.records = 3;
  undo.keys = 1;
  rejoiner_.undo_ = undo;
  EXPECT_FALSE(Collect().undo);
  rejoiner_.undo_->undone = {{"__namespace", "tail"}};
  EXPECT_TRUE(Collect().undo);
}

TEST_F(EvidenceCollectorTest, AnUndoThatWouldAdvanceTheSurvivorTooFarIsLeftOut) {
  rejoiner_.wal_.Set(10, "common", "1").Set(3, "tail", "1");
  survivor_.wal_.Set(10, "common", "1").Set(7, "missed", "1");
  limits_.undo_scan_bytes = 1000;
  UndoEvidence undo;
  undo.digest = "d1";
  undo.records = 2;
  rejoiner_.undo_ = undo;
  limits_.advance_master = 5;
  EXPECT_TRUE(Collect().undo);
  limits_.advance_master = 4;
  const Evidence evidence = Collect();
  EXPECT_FALSE(evidence.undo);
  EXPECT_NE(evidence.undo_note.find("limits.advanceMaster"), std::string::npos) << evidence.undo_note;
}

}  // namespace
}  // namespace walstitch::shell
