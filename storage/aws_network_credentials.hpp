// AWS credentials that a service hands out: the token service for a web identity (STS,
// AssumeRoleWithWebIdentity), a container's endpoint (ECS, EKS Pod Identity), and an instance's
// metadata service, version 2 only. What they answer is parsed by pure functions; nothing of it is
// trusted, and no part of it but codes gets into an error.
// Sources: AWS SDKs and Tools Reference Guide; STS API Reference 2011-06-15; EC2 User Guide, IMDS.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/ports/workers.hpp"
#include "io/runtime.hpp"
#include "storage/aws_credentials.hpp"

namespace daybook::storage {

struct AwsSetup;

// <AssumeRoleWithWebIdentityResponse>…<Credentials>…; an <ErrorResponse> becomes an Error with its
// code.
[[nodiscard]] core::Result<AwsKeys> parse_sts_answer(int status, std::string_view body);

// {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}, from containers and instances. An
// instance says "Code": "Success" as well.
[[nodiscard]] core::Result<AwsKeys> parse_credentials_json(int status, std::string_view body);

// Tokens are sent to https, and in the clear only to this machine and the addresses of ECS and EKS.
[[nodiscard]] core::Result<void> check_container_url(std::string_view url);

// Where each is set up. AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME or the
// profile's web_identity_token_file, role_arn, role_session_name; the token is read each time,
// because it is rotated. AWS_ENDPOINT_URL_STS and AWS_CA_BUNDLE are honoured.
[[nodiscard]] std::unique_ptr<AwsCredentialSource> make_web_identity_source(io::IoRuntime& runtime,
                                                                            core::Workers& workers,
                                                                            const AwsSetup& setup);
// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or
// _TOKEN.
[[nodiscard]] std::unique_ptr<AwsCredentialSource> make_container_source(io::IoRuntime& runtime,
                                                                         core::Workers& workers,
                                                                         const AwsSetup& setup);
// AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT, _ENDPOINT_MODE.
[[nodiscard]] std::unique_ptr<AwsCredentialSource> make_instance_source(io::IoRuntime& runtime,
                                                                        const AwsSetup& setup);

}  // namespace daybook::storage
