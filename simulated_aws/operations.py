"""Name of the AWS operation that an HTTP request asks for, read from the wire as the services' protocols write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

_SCOPE = re.compile(r"Credential=[^/,]+/\d{8}/[^/]+/([^/]+)/aws4_request")
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z]+)")
_CBOR = re.compile(r"^/service/[^/]+/operation/([A-Za-z]+)$")

# S3 is plain REST. The sub-resource in the query names the operation, else method and depth of the path do.
_S3_SUBRESOURCES: Final[Mapping[str, str]] = {
    "acl": "Acl",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "policy": "BucketPolicy",
    "tagging": "Tagging",
    "versioning": "BucketVersioning",
    "publicAccessBlock": "PublicAccessBlock",
    "ownershipControls": "BucketOwnershipControls",
}
_S3_VERBS: Final[Mapping[str, str]] = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
# Lambda is REST with JSON: the most telling part of the path comes first.
_LAMBDA: Final[Mapping[str, Mapping[str, str]]] = {
    "event-source-mappings": {"GET": "ListEventSourceMappings", "POST": "CreateEventSourceMapping"},
    "configuration": {"GET": "GetFunctionConfiguration", "PUT": "UpdateFunctionConfiguration"},
    "concurrency": {"GET": "GetFunctionConcurrency", "PUT": "PutFunctionConcurrency"},
    "invocations": {"POST": "Invoke"},
    "event-invoke-config": {"GET": "GetFunctionEventInvokeConfig", "PUT": "PutFunctionEventInvokeConfig"},
    "functions": {"GET": "GetFunction", "POST": "CreateFunction"},
}
_S3_BUCKET: Final[Mapping[str, str]] = {
    "PUT": "CreateBucket",
    "GET": "ListObjects",
    "HEAD": "HeadBucket",
    "DELETE": "DeleteBucket",
}
_S3_OBJECT: Final[Mapping[str, str]] = {
    "PUT": "PutObject",
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "DELETE": "DeleteObject",
}


def operation_of(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """Service (as it is signed for: "sqs", "dynamodb", "monitoring" ...) and operation ("SendMessageBatch").

    Args:
        headers: by lower-case name.

    Returns:
        ("", "") where the request is not signed; an unknown operation is the method and path.
    """
    scope = _SCOPE.search(headers.get("authorization", ""))
    service = scope[1] if scope else ""
    if target := headers.get("x-amz-target"):
        return service, target.rpartition(".")[2]
    if cbor := _CBOR.match(path):
        return service, cbor[1]
    if service == "s3":
        return service, _s3(method, path, query, headers)
    if action := _ACTION.search(body[:200]) or _ACTION.search(query.encode()):
        return service, action[1].decode()
    if service == "lambda":
        return service, _lambda(method, path)
    if service == "appflow":  # REST with JSON: the path is the operation's name, "/start-flow"
        return service, path.strip("/").title().replace("-", "")
    return service, f"{method} {path}"


def _lambda(method: str, path: str) -> str:
    parts = path.strip("/").split("/")[1:]
    for resource, operation in _LAMBDA.items():
        if resource in parts:
            return operation.get(method, f"{method} {path}")
    return f"{method} {path}"


def _s3(method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
    parameters = parse_qs(query, keep_blank_values=True)
    depth = len([part for part in path.strip("/").split("/", 1) if part])
    for name, operation in _S3_SUBRESOURCES.items():
        if name in parameters and method in _S3_VERBS:
            return _S3_VERBS[method] + operation
    if depth == 0:
        return "ListBuckets"
    if depth == 1:
        if method == "GET" and parameters.get("list-type") == ["2"]:
            return "ListObjectsV2"
        if method == "POST" and "delete" in parameters:
            return "DeleteObjects"
        return _S3_BUCKET.get(method, method)
    if "uploads" in parameters:
        return "CreateMultipartUpload"
    if "uploadId" in parameters:
        uploads = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return uploads.get(method, method)
    if method == "PUT" and "x-amz-copy-source" in headers:
        return "CopyObject"
    return _S3_OBJECT.get(method, method)
