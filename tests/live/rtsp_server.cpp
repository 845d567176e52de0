#include <gst/rtsp-server/rtsp-server.h>

#include <cstdio>
#include <string>
#include <string_view>

// Serves rtsp://127.0.0.1:PORT/clip over TCP and UDP: an H.264 clip (MP4) at its own speed, or, for
// ball:WIDTHxHEIGHT, a white ball that bounces for ever, 25 frames a second, as motion JPEG. To USER with
// PASSWORD only where both are given, and over TLS (rtsps) with a CERTIFICATE (PEM, its key in it). Prints "ready" when it listens. For tests: it is killed, stopped and
// started again.
namespace {

bool ask_for_password(GstRTSPServer* server, GstRTSPMediaFactory* factory, const char* user,
                      const char* password, const char* certificate) {
  GstRTSPAuth* auth = gst_rtsp_auth_new();
  if (certificate != nullptr) {
    GTlsCertificate* tls = g_tls_certificate_new_from_file(certificate, nullptr);
    if (tls == nullptr) return false;
    gst_rtsp_auth_set_tls_certificate(auth, tls);
    g_object_unref(tls);
  }
  GstRTSPToken* token =
      gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, "viewer", nullptr);
  gchar* basic = gst_rtsp_auth_make_basic(user, password);
  gst_rtsp_auth_add_basic(auth, basic, token);
  g_free(basic);
  gst_rtsp_token_unref(token);
  gst_rtsp_server_set_auth(server, auth);
  g_object_unref(auth);
  GstRTSPPermissions* permissions = gst_rtsp_permissions_new();
  gst_rtsp_permissions_add_role(permissions, "viewer", GST_RTSP_PERM_MEDIA_FACTORY_ACCESS, G_TYPE_BOOLEAN,
                                TRUE, GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, G_TYPE_BOOLEAN, TRUE, nullptr);
  gst_rtsp_media_factory_set_permissions(factory, permissions);
  gst_rtsp_permissions_unref(permissions);
  return true;
}

constexpr std::string_view kRecord = "record:";
bool is_record(const std::string& clip) { return clip.starts_with(kRecord); }

std::string launch_of(const std::string& clip) {
  int width = 0, height = 0;
  if (std::sscanf(clip.c_str(), "ball:%dx%d", &width, &height) == 2) {
    return "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,framerate=25/1,width=" +
           std::to_string(width) + ",height=" + std::to_string(height) +
           " ! jpegenc ! rtpjpegpay name=pay0 pt=26 )";
  }
  if (is_record(clip)) {
    return "( rtph264depay name=depay0 ! video/x-h264,stream-format=byte-stream,alignment=nal ! "
           "filesink buffer-mode=unbuffered location=\"" +
           clip.substr(kRecord.size()) + "\" )";
  }
  return "( filesrc location=\"" + clip + "\" ! qtdemux ! rtph264pay name=pay0 pt=96 )";
}

constexpr const char* kHelp = R"(Usage: rtsp_server PORT CLIP [USER PASSWORD [CERTIFICATE]]
Serves rtsp://127.0.0.1:PORT/clip until it is killed; says "ready" when it listens.
CLIP: an H.264 video (.mp4), ball:WIDTHxHEIGHT, or record:FILE to receive one.
)";

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (argc != 3 && argc != 5 && argc != 6) {
    std::fputs(kHelp, stderr);
    return 2;
  }
  gst_init(nullptr, nullptr);
  GstRTSPServer* server = gst_rtsp_server_new();
  gst_rtsp_server_set_address(server, "127.0.0.1");
  gst_rtsp_server_set_service(server, argv[1]);
  GstRTSPMediaFactory* factory = gst_rtsp_media_factory_new();
  const std::string launch = launch_of(argv[2]);
  gst_rtsp_media_factory_set_launch(factory, launch.c_str());
  if (is_record(argv[2])) gst_rtsp_media_factory_set_transport_mode(factory, GST_RTSP_TRANSPORT_MODE_RECORD);
  if (argc > 3 && !ask_for_password(server, factory, argv[3], argv[4], argc > 5 ? argv[5] : nullptr)) {
    std::fputs("error: no certificate\n", stderr);
    return 1;
  }
  GstRTSPMountPoints* mounts = gst_rtsp_server_get_mount_points(server);
  gst_rtsp_mount_points_add_factory(mounts, "/clip", factory);
  g_object_unref(mounts);
  if (gst_rtsp_server_attach(server, nullptr) == 0) {
    std::fputs("error: cannot listen\n", stderr);
    return 1;
  }
  std::puts("ready");
  std::fflush(stdout);
  g_main_loop_run(g_main_loop_new(nullptr, FALSE));
}
