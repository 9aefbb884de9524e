#include "tests/support/webhook_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace walstitch::test {

namespace {

constexpr int kMaxBody = 1 << 20;

// Reads and writes a connection, over TLS or not.
class Stream {
 public:
  Stream(int socket, SSL* ssl) : socket_(socket), ssl_(ssl) {}
  int Read(char* bytes, int size) {
    return ssl_ != nullptr ? SSL_read(ssl_, bytes, size)
                           : static_cast<int>(::recv(socket_, bytes, static_cast<std::size_t>(size), 0));
  }
  bool Write(const std::string& bytes) {
    if (ssl_ != nullptr) return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

 private:
  int socket_;
  SSL* ssl_;
};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// nullopt: the connection ended.
std::optional<ReceivedHook> ReadRequest(Stream& stream, std::string& buffer) {
  std::array<char, 4096> bytes{};
  const auto more = [&] {
    const int got = stream.Read(bytes.data(), static_cast<int>(bytes.size()));
    if (got > 0) buffer.append(bytes.data(), static_cast<std::size_t>(got));
    return got > 0;
  };
  std::size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return std::nullopt;
  }
  ReceivedHook request;
  std::size_t at = buffer.find("\r\n");
  const std::string first = buffer.substr(0, at);
  request.method = first.substr(0, first.find(' '));
  request.target = first.substr(first.find(' ') + 1, first.rfind(' ') - first.find(' ') - 1);
  while (at < end) {
    at += 2;
    const std::size_t next = buffer.find("\r\n", at);
    const std::string line = buffer.substr(at, next - at);
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) request.fields[Lower(line.substr(0, colon))] = line.substr(colon + 2);
    at = next;
  }
  const int length = std::atoi(request.fields["content-length"].c_str());
  if (length < 0 || length > kMaxBody) return std::nullopt;
  buffer.erase(0, end + 4);
  while (buffer.size() < static_cast<std::size_t>(length)) {
    if (!more()) return std::nullopt;
  }
  request.body = buffer.substr(0, static_cast<std::size_t>(length));
  buffer.erase(0, static_cast<std::size_t>(length));
  return request;
}

}  // namespace

struct WebhookReceiver::Tls {
  SSL_CTX* context;
  explicit Tls(const Certificate& certificate) : context(SSL_CTX_new(TLS_server_method())) {
    BIO* key = BIO_new_mem_buf(certificate.key_pem.data(), static_cast<int>(certificate.key_pem.size()));
    BIO* own = BIO_new_mem_buf(certificate.certificate_pem.data(),
                               static_cast<int>(certificate.certificate_pem.size()));
    EVP_PKEY* private_key = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
    X509* x509 = PEM_read_bio_X509(own, nullptr, nullptr, nullptr);
    const bool ok =
        SSL_CTX_use_certificate(context, x509) == 1 && SSL_CTX_use_PrivateKey(context, private_key) == 1;
    X509_free(x509);
    EVP_PKEY_free(private_key);
    BIO_free(own);
    BIO_free(key);
    if (!ok) throw std::runtime_error("the receiver's certificate and key cannot be used");
  }
  ~Tls() { SSL_CTX_free(context); }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
};

WebhookReceiver::WebhookReceiver(std::optional<Certificate> certificate) {
  // OpenSSL writes to a client that has hung up, and says nothing of MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  if (certificate) tls_ = std::make_unique<Tls>(*certificate);
  Listen();
}

WebhookReceiver::~WebhookReceiver() { StopThreads(); }

std::string WebhookReceiver::Url() const {
  return std::string(tls_ ? "https" : "http") + "://127.0.0.1:" + std::to_string(port_);
}

void WebhookReceiver::AnswerWith(Answer answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

void WebhookReceiver::Listen() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 64) != 0) {
    ::close(listener);
    throw std::runtime_error("the receiver cannot listen");
  }
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  closing_ = false;
  listener_ = listener;
  acceptor_ = std::thread([this, listener] { Accept(listener); });
}

void WebhookReceiver::StopThreads() {
  closing_ = true;
  if (listener_ >= 0) ::shutdown(listener_, SHUT_RDWR);
  if (acceptor_.joinable()) acceptor_.join();
  if (listener_ >= 0) ::close(listener_);
  listener_ = -1;
  std::vector<std::thread> serving;
  {
    const std::lock_guard lock(mutex_);
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    serving.swap(serving_);
  }
  for (std::thread& thread : serving) thread.join();
}

void WebhookReceiver::StopListening() { StopThreads(); }

void WebhookReceiver::Accept(int listener) {
  while (!closing_) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    serving_.emplace_back([this, socket] { Serve(socket); });
  }
}

void WebhookReceiver::Serve(int socket) {
  SSL* ssl = nullptr;
  bool open = true;
  if (tls_) {
    ssl = SSL_new(tls_->context);
    SSL_set_fd(ssl, socket);
    open = SSL_accept(ssl) == 1;
    if (!open) ++refused_;
  }
  Stream stream(socket, ssl);
  std::string buffer;
  while (open && !closing_) {
    const auto request = ReadRequest(stream, buffer);
    if (!request) break;
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      received_.push_back(*request);
      answer = answer_;
    }
    came_.notify_all();
    const Reply reply = answer ? answer(*request) : Reply();
    const auto until = std::chrono::steady_clock::now() + reply.delay;
    while (!closing_ && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    open = stream.Write("HTTP/1.1 " + std::to_string(reply.status) + " Said\r\n" + reply.fields +
                        "Content-Length: 2\r\n\r\nok");
  }
  const std::lock_guard lock(mutex_);
  sockets_.erase(std::remove(sockets_.begin(), sockets_.end(), socket), sockets_.end());
  if (ssl != nullptr) SSL_free(ssl);
  ::close(socket);
}

std::vector<ReceivedHook> WebhookReceiver::Received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

bool WebhookReceiver::WaitFor(std::size_t count, std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  return came_.wait_for(lock, patience, [&] { return received_.size() >= count; });
}

bool SignatureHolds(const ReceivedHook& request, const std::string& secret) {
  const auto field = request.fields.find("walstitch-signature");
  if (field == request.fields.end() || !field->second.starts_with("t=")) return false;
  const std::string& text = field->second;
  const std::string time = text.substr(2, text.find(',') - 2);
  const std::string input = time + "." + request.body;
  std::array<unsigned char, 32> digest{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest.data(), &length);
  std::string hex;
  for (const unsigned char byte : digest) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 15U];
  }
  for (std::size_t at = text.find(",v1="); at != std::string::npos; at = text.find(",v1=", at + 1)) {
    const std::string given = text.substr(at + 4, 64);
    if (given.size() == hex.size() && CRYPTO_memcmp(given.data(), hex.data(), hex.size()) == 0) return true;
  }
  return false;
}

}  // namespace walstitch::test
