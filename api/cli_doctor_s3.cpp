// The doctor's question to an S3 service: do endpoint, bucket and keys allow what the archive does?
#include "api/cli_doctor.hpp"

namespace daybook::api {

void Doctor::examine_s3() {}

}  // namespace daybook::api
