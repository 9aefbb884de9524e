#include "controller/kubernetes/watch.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace walstitch::kubernetes {

namespace asio = boost::asio;
using std::chrono::steady_clock;

class Watch::Impl : public std::enable_shared_from_this<Watch::Impl> {
 public:
  Impl(asio::any_io_executor executor, ApiClient client, WatchOptions options, std::function<void()> listed,
       std::function<void(const Change&)> changed)
      : executor_(std::move(executor)),
        timer_(executor_),
        client_(std::move(client)),
        options_(std::move(options)),
        listed_(std::move(listed)),
        changed_(std::move(changed)) {}

  void Start() { asio::co_spawn(executor_, Run(shared_from_this()), asio::detached); }

  void Stop() {
    stopped_ = true;
    timer_.cancel();
    interrupt_.Set();
  }

  [[nodiscard]] const WatchCursor& Cursor() const { return cursor_; }

 private:
  static asio::awaitable<void> Run(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      const WatchCursor::Step step = self->cursor_.NextStep(self->client_.Random());
      if (step.wait.count() > 0) {
        boost::system::error_code ignored;
        self->timer_.expires_after(step.wait);
        co_await self->timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        if (self->stopped_) co_return;
      }
      switch (step.next) {
        case WatchCursor::Next::kList:
          co_await List(self);
          break;
        case WatchCursor::Next::kWatch:
          co_await Stream(self, step.resource_version);
          break;
      }
    }
  }

  static asio::awaitable<void> List(std::shared_ptr<Impl> self) {
    ListOptions wanted;
    wanted.label_selector = self->options_.label_selector;
    wanted.field_selector = self->options_.field_selector;
    CallOptions limits;
    limits.timeout = self->options_.list_timeout;
    auto list = co_await self->client_.List(self->options_.type, std::move(wanted), limits);
    if (self->stopped_) co_return;
    if (!list) {
      self->cursor_.ListFailed(list.error());
      co_return;
    }
    self->cursor_.Listed(std::move(*list), steady_clock::now());
    if (self->listed_) self->listed_();
  }

  static asio::awaitable<void> Stream(std::shared_ptr<Impl> self, std::string resource_version) {
    WatchRequest wanted;
    wanted.label_selector = self->options_.label_selector;
    wanted.field_selector = self->options_.field_selector;
    wanted.resource_version = std::move(resource_version);
    wanted.server_timeout = self->options_.stream_time;
    wanted.idle = self->options_.stream_time + self->options_.grace;
    // The cursor has ended the stream, and knows why.
    const auto given_up = std::make_shared<bool>(false);
    auto opened = [self] { self->cursor_.StreamOpened(steady_clock::now()); };
    auto line = [self, given_up](std::string_view text) {
      const auto taken = self->cursor_.TakeLine(text, steady_clock::now(), self->changed_);
      *given_up = !taken.stream_goes_on;
      return taken.stream_goes_on && !self->stopped_;
    };
    auto ended = co_await self->client_.Stream(self->options_.type, std::move(wanted), std::move(opened),
                                               std::move(line), self->interrupt_);
    if (self->stopped_ || *given_up) co_return;
    if (ended) {
      self->cursor_.StreamEnded(steady_clock::now());
    } else {
      self->cursor_.StreamFailed(ended.error(), steady_clock::now());
    }
  }

  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  ApiClient client_;
  WatchOptions options_;
  std::function<void()> listed_;
  std::function<void(const Change&)> changed_;
  WatchCursor cursor_;
  http::Interrupt interrupt_;
  bool stopped_ = false;
};

Watch::Watch(asio::any_io_executor executor, ApiClient client, WatchOptions options,
             std::function<void()> listed, std::function<void(const Change&)> changed)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(client), std::move(options),
                                   std::move(listed), std::move(changed))) {
  impl_->Start();
}
Watch::~Watch() { impl_->Stop(); }
void Watch::Stop() { impl_->Stop(); }
const ObjectMap& Watch::Objects() const { return impl_->Cursor().Objects(); }
bool Watch::Synced() const { return impl_->Cursor().Synced(); }
std::optional<steady_clock::time_point> Watch::LastContact() const { return impl_->Cursor().LastContact(); }
const std::string& Watch::Problem() const { return impl_->Cursor().Problem(); }

}  // namespace walstitch::kubernetes
