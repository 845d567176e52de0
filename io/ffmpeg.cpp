#include "io/ffmpeg.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <new>

#include "core/error.h"
#include "core/log.h"
#include "io/hardware_decoder.h"
#include "io/network_url.h"

extern "C" {
#include <libavdevice/avdevice.h>
}

namespace hqtrack {
namespace {

thread_local LogWatch* innermost_watch = nullptr;

std::string strip(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

/// Where the messages of this context go besides; null for most.
DecoderLog* decoder_log_of(void* context) {
  if (!context || *static_cast<const AVClass* const*>(context) != avcodec_get_class()) return nullptr;
  return static_cast<DecoderLog*>(static_cast<AVCodecContext*>(context)->opaque);
}

bool is_local_file(const std::string& url) { return url.find("://") == std::string::npos && url != "-"; }

int is_over(void* guard) {
  const auto* const input = static_cast<const WaitGuard*>(guard);
  return input->is_interrupted() || input->has_timed_out();
}

/// Reads standard input as FFmpeg's own pipe does, but can be interrupted while nothing comes.
int read_stdin(void* guard, uint8_t* buffer, int size) {
  constexpr int kPatienceMs = 100;
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  while (true) {
    if (guard && is_over(guard)) return AVERROR_EXIT;
    const int ready = ::poll(&input, 1, kPatienceMs);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t count = ready < 0 ? -1 : ::read(STDIN_FILENO, buffer, static_cast<size_t>(size));
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    return count > 0 ? static_cast<int>(count) : count == 0 ? AVERROR_EOF : AVERROR(errno);
  }
}

AVIOContext* open_stdin(WaitGuard* guard) {
  constexpr int kBufferBytes = 1 << 16;
  void* const buffer = av_malloc(kBufferBytes);
  AVIOContext* const input = buffer ? avio_alloc_context(static_cast<uint8_t*>(buffer), kBufferBytes, 0,
                                                         guard, read_stdin, nullptr, nullptr)
                                    : nullptr;
  if (!input) throw std::bad_alloc();
  return input;
}

void free_stdin(AVIOContext* input) {
  if (!input) return;
  av_freep(&input->buffer);
  avio_context_free(&input);
}

}  // namespace

void AvCloseOutput::operator()(AVFormatContext* format) const {
  if (!format) return;
  if (format->pb && !(format->oformat->flags & AVFMT_NOFILE)) avio_closep(&format->pb);
  avformat_free_context(format);
}

AvPacketPtr make_packet() {
  AvPacketPtr packet(av_packet_alloc());
  if (!packet) throw std::bad_alloc();
  return packet;
}

AvFramePtr make_frame() {
  AvFramePtr frame(av_frame_alloc());
  if (!frame) throw std::bad_alloc();
  return frame;
}

std::string av_error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return text;
}

void AvCloseInput::operator()(AVFormatContext* format) const {
  AVIOContext* const own = format && (format->flags & AVFMT_FLAG_CUSTOM_IO) ? format->pb : nullptr;
  avformat_close_input(&format);
  free_stdin(own);
}

bool WaitGuard::has_timed_out() const {
  return timeout_us_ > 0 && Clock::now() - since_ > std::chrono::microseconds(timeout_us_);
}

AVIOInterruptCB WaitGuard::callback() { return {is_over, this}; }

std::string WaitGuard::reason() const {
  if (is_interrupted() || !has_timed_out()) return {};
  const std::string seconds = std::to_string(static_cast<double>(timeout_us_) / 1e6);
  return "no data for " + seconds.substr(0, seconds.find('.') + 2) + " s";
}

namespace {

/// Looks at the address itself where it names a file.
void check_file(const std::string& url) {
  namespace fs = std::filesystem;
  std::error_code code;
  if (!fs::exists(url, code)) throw MediaError(url + ": no such file or folder");
  if (fs::is_regular_file(url, code) && fs::file_size(url, code) == 0)
    throw MediaError(url + ": the file is empty");
}

AVDictionary* protocol_options(const std::string& url, const InputOptions& options) {
  AVDictionary* protocol = nullptr;
  if (url.starts_with("http")) av_dict_set(&protocol, "rw_timeout", "30000000", 0);  // µs without a byte
  if (url.starts_with("rtsp") && !options.rtsp_transport.empty()) {
    av_dict_set(&protocol, "rtsp_transport", options.rtsp_transport.c_str(), 0);
  }
  return protocol;
}

}  // namespace

/// Null: FFmpeg finds out.
const AVInputFormat* format_of(const std::string& url) {
  if (!is_capture_device(url)) return nullptr;
  static std::once_flag is_registered;
  std::call_once(is_registered, avdevice_register_all);
  const AVInputFormat* const format = av_find_input_format("v4l2");
  if (!format) throw MediaError(url + ": this FFmpeg reads no capture devices (v4l2)");
  return format;
}

AvInputPtr open_input(const std::string& url, const InputOptions& options) {
  route_ffmpeg_log();
  if (is_local_file(url)) check_file(url);
  AVFormatContext* raw = avformat_alloc_context();
  if (!raw) throw std::bad_alloc();
  AVIOContext* const own = url == "-" ? open_stdin(options.guard) : nullptr;
  if (own) raw->pb = own;
  if (options.guard) {
    raw->interrupt_callback = options.guard->callback();
    options.guard->start_waiting();
  }
  AVDictionary* protocol = protocol_options(url, options);
  LogWatch watch;
  // "file:" keeps FFmpeg from reading a protocol name into a file name that holds a colon.
  const bool is_file = is_local_file(url) && !is_capture_device(url);
  const std::string address = is_file ? "file:" + url : url;
  int result = avformat_open_input(&raw, own ? nullptr : address.c_str(), format_of(url), &protocol);
  av_dict_free(&protocol);
  if (result < 0) free_stdin(own);  // `raw` is gone
  AvInputPtr format(raw);
  if (result >= 0) {
    LogWatch format_watch(format.get());
    if (options.guard) options.guard->start_waiting();
    result = avformat_find_stream_info(format.get(), nullptr);
    if (options.complaint) *options.complaint = format_watch.first_error();
  }
  if (result < 0) {
    std::string reason = options.guard ? options.guard->reason() : std::string();
    if (reason.empty()) reason = av_error_text(result);
    throw MediaError(without_credentials(url) +
                     ": cannot be opened as video or picture: " + watch.explain(reason));
  }
  return format;
}

/// FFmpeg's own decoders of VP8 and VP9 leave out the second stream that WebM hides alpha in; those of libvpx
/// read it.
const AVCodec* find_decoder(const AVStream& stream) {
  const AVCodecID id = stream.codecpar->codec_id;
  const AVDictionaryEntry* alpha = av_dict_get(stream.metadata, "alpha_mode", nullptr, 0);
  const char* name = id == AV_CODEC_ID_VP9 ? "libvpx-vp9" : id == AV_CODEC_ID_VP8 ? "libvpx" : nullptr;
  const AVCodec* of_libvpx =
      alpha && std::string(alpha->value) == "1" && name ? avcodec_find_decoder_by_name(name) : nullptr;
  return of_libvpx ? of_libvpx : avcodec_find_decoder(id);
}

AvCodecPtr open_decoder(const std::string& url, const AVStream& stream, int threads, DecoderLog* log,
                        const HardwareDecoder* hardware) {
  const AVCodecParameters& parameters = *stream.codecpar;
  const std::string name = avcodec_get_name(parameters.codec_id);
  const AVCodec* decoder = find_decoder(stream);
  if (!decoder) throw MediaError(url + ": this FFmpeg has no decoder for codec " + name);
  AvCodecPtr codec(avcodec_alloc_context3(decoder));
  if (!codec) throw std::bad_alloc();
  avcodec_parameters_to_context(codec.get(), &parameters);
  codec->pkt_timebase = stream.time_base;
  codec->thread_count = threads;
  // Threads that each take a frame of their own add delay, and race when they mark damage.
  codec->thread_type = FF_THREAD_SLICE;
  codec->opaque = log;  // FFmpeg hands it to the copies that its threads work with
  if (hardware) hardware->attach(*codec);
  if (const int result = avcodec_open2(codec.get(), decoder, nullptr); result < 0) {
    throw MediaError(url + ": decoder " + name + " cannot be opened: " + av_error_text(result));
  }
  return codec;
}

int64_t container_start(const AVFormatContext& format, AVRational time_base) {
  if (format.start_time == AV_NOPTS_VALUE) return 0;
  if (format.start_time >= 0) return av_rescale_q(format.start_time, AV_TIME_BASE_Q, time_base);
  int64_t start = 0;  // in time_base
  for (unsigned i = 0; i < format.nb_streams; ++i) {
    const AVStream& stream = *format.streams[i];
    if (stream.codecpar->codec_type != AVMEDIA_TYPE_VIDEO || stream.start_time == AV_NOPTS_VALUE) continue;
    start = std::min(start, av_rescale_q(stream.start_time, stream.time_base, time_base));
  }
  return start;
}

AVColorSpace guess_colour_matrix(int64_t width, int64_t height) {
  return width >= 1280 || height > 576 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
}

void receive_ffmpeg_log(void* context, int level, const char* format, va_list arguments) {
  DecoderLog* const decoder_log = level <= AV_LOG_ERROR ? decoder_log_of(context) : nullptr;
  const bool is_watched = level <= AV_LOG_ERROR && (innermost_watch || decoder_log);
  const bool is_shown = level <= AV_LOG_INFO && log_level() >= LogLevel::kDebug;
  if (!is_watched && !is_shown) return;
  char text[1024];
  std::vsnprintf(text, sizeof(text), format, arguments);
  const std::string line = without_credentials(strip(text));
  if (line.empty()) return;
  for (LogWatch* watch = is_watched ? innermost_watch : nullptr; watch; watch = watch->outer_) {
    const bool is_owner = !watch->owner_ || watch->owner_ == context;
    if (is_owner && watch->first_error_.empty()) watch->first_error_ = line;
  }
  if (decoder_log) {
    const std::lock_guard lock(decoder_log->mutex_);
    if (decoder_log->first_error_.empty()) decoder_log->first_error_ = line;
  }
  if (is_shown) log_debug("ffmpeg: " + line);
}

std::string DecoderLog::first_error() const {
  const std::lock_guard lock(mutex_);
  return first_error_;
}

void route_ffmpeg_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    av_log_set_callback(receive_ffmpeg_log);
    ::setenv("SVT_LOG", "1", /*overwrite=*/0);  // SVT-AV1 prints past FFmpeg's log: only errors
  });
}

void DecoderLog::clear() {
  const std::lock_guard lock(mutex_);
  first_error_.clear();
}

LogWatch::LogWatch(const void* owner) : owner_(owner), outer_(innermost_watch) { innermost_watch = this; }

std::string LogWatch::explain(const std::string& reason) const {
  const bool says_more = first_error_.find(reason) == std::string::npos;
  return first_error_.empty() || !says_more ? reason : reason + " (" + first_error_ + ")";
}

LogWatch::~LogWatch() { innermost_watch = outer_; }

}  // namespace hqtrack
