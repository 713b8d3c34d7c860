# Reports sales by signed postbacks. Ruby 3 or later; nothing else to install.
#
# Set POSTBACK_URL, POSTBACK_KEY and CLICK_ID, then run: ruby postback.rb

require "json"
require "net/http"
require "openssl"
require "securerandom"

# What follows the ? of a GET. `now` is Unix time in whole seconds.
def signed_query(parameters, key, now)
  signed = parameters.merge("signed_at" => now)
  # Whole pairs are sorted, not names: sub1=x comes before sub=x.
  canonical = signed.map { |name, value| "#{encode(name)}=#{encode(value)}" }.sort.join("&")
  "#{canonical}&signature=#{digest(key, canonical).unpack1("H*")}"
end

# The headers of a POST of `body`. A message that is sent again keeps its `id`.
def signed_headers(body, key, id, now)
  signature = [digest(key, "#{id}.#{now}.#{body}")].pack("m0")
  {
    "Content-Type" => "application/json",
    "webhook-id" => id,
    "webhook-timestamp" => now.to_s,
    "webhook-signature" => "v1,#{signature}",
  }
end

def digest(key, text)
  OpenSSL::HMAC.digest("SHA256", key.delete_prefix("whsec_").unpack1("m"), text)
end

def encode(text)
  text.to_s.encode("UTF-8").b.gsub(/[^A-Za-z0-9\-_.~]/n) { |byte| format("%%%02X", byte.ord) }
end

# Sends the request that the block makes, again if that can help, and returns whether it was accepted.
def send_signed
  [1, 2, 4, 8, nil].each do |pause|
    # Signed anew each time, since a signature is good for five minutes only.
    request = yield Time.now.to_i
    status, text, retry_after = attempt(request)
    if pause.nil? || !(status.zero? || status == 429 || status >= 500)
      puts "#{request.method} #{status.zero? ? "no answer:" : status} #{text}"
      return status.between?(200, 299)
    end
    sleep(retry_after.to_s.match?(/\A\d+\z/) ? [retry_after.to_i, 300].min : pause)
  end
end

def attempt(request)
  uri = request.uri
  options = { use_ssl: uri.scheme == "https", open_timeout: 10, read_timeout: 10, max_retries: 0 }
  answer = Net::HTTP.start(uri.hostname, uri.port, options) { |http| http.request(request) }
  [answer.code.to_i, answer.body, answer["Retry-After"]]
rescue StandardError => failure # The errors of a connection have no closer class in common.
  [0, failure.message]
end

def main
  url, key, click_id = %w[POSTBACK_URL POSTBACK_KEY CLICK_ID].map { |name| ENV.fetch(name) }
  # The amount is a text, or a BigDecimal made into one. A float is not exact.
  sale = { "click_id" => click_id, "event" => "sale", "amount" => "99.95", "currency" => "EUR" }

  first = sale.merge("transaction_id" => "order-1001")
  by_get = send_signed { |now| Net::HTTP::Get.new(URI("#{url}?#{signed_query(first, key, now)}")) }

  body, id = sale.merge("transaction_id" => "order-1002").to_json, "msg_#{SecureRandom.uuid}"
  by_post = send_signed do |now|
    Net::HTTP::Post.new(URI(url), signed_headers(body, key, id, now)).tap { |post| post.body = body }
  end
  exit(by_get && by_post)
end

main if $PROGRAM_NAME == __FILE__
