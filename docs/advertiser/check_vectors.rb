# Prints what postback.rb makes of each vector.

require_relative "postback"

vectors = JSON.parse(File.read(ARGV[0], encoding: "UTF-8"))
vectors["get"].each do |v|
  puts signed_query(v["parameters"].to_h, v["key"], v["signed_at"])
end
vectors["post"].each do |v|
  puts signed_headers(v["body"], v["key"], v["id"], v["timestamp"])["webhook-signature"]
end
