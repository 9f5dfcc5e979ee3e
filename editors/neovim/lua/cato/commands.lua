--- `:Cato`.
local completion = require("cato.completion")
local server = require("cato.server")
local status = require("cato.status")
local tasks = require("cato.tasks")

local M = {}

local DEFAULT_PAUSE = 10 -- minutes

---@type table<string, fun(args: vim.api.keyset.create_user_command.command_args)>
local subcommands = {
  generate = function(args)
    tasks.generate(args.line1, args.line2)
  end,
  summarize = function(args)
    tasks.summarize(args.line1, args.line2)
  end,
  explain = function(args)
    tasks.explain(args.line1, args.line2)
  end,
  translate = function(args)
    tasks.translate(args.line1, args.line2, args.fargs[2])
  end,
  cancel = function()
    tasks.cancel()
  end,
  status = function()
    status.show()
  end,
  log = function()
    vim.cmd.tabedit(vim.lsp.log.get_filename())
  end,
  pause = function(args)
    local minutes = tonumber(args.fargs[2] or DEFAULT_PAUSE)
    if not minutes or minutes <= 0 then
      error("cato: :Cato pause takes a number of minutes", 0)
    end
    completion.pause(minutes)
  end,
  resume = function()
    completion.resume()
  end,
  restart = function()
    server.restart()
  end,
}

---@param lead string
---@param line string
---@return string[]
local function complete(lead, line)
  local options = line:match("translate%s+%S*$") and vim.list_slice(require("cato.config").options.languages)
    or vim.tbl_keys(subcommands)
  table.sort(options)
  return vim.tbl_filter(function(each)
    return vim.startswith(each, lead)
  end, options)
end

function M.setup()
  vim.api.nvim_create_user_command("Cato", function(args)
    local run = subcommands[args.fargs[1]]
    if not run then
      vim.notify(("cato: there is no :Cato %s"):format(args.fargs[1]), vim.log.levels.ERROR)
      return
    end
    run(args)
  end, { nargs = "+", range = true, complete = complete, desc = "Cato: generate, summarize, translate, status" })
end

return M
