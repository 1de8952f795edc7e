-- For wrk: a body of so many bytes when asked for (wrk … -- BYTES), and the result as one line of JSON.
function init(arguments)
  local bytes = tonumber(arguments[1])
  if bytes then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    wrk.body = "{" .. string.rep("x", bytes - 1)
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'JSON {"requests":%d,"seconds":%.6f,"failed":%d,"p50_ms":%.3f,"p99_ms":%.3f,"p99_9_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
