#pragma once

namespace hqtrack {

/// The text of report.html, a report without its data.
extern const char* const kReportPage;

}  // namespace hqtrack
